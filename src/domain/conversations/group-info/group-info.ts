import { createHash } from 'node:crypto';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor, refusalWithText } from '#domain/refusal-reasons.ts';
import { findGroupInfoMismatch, readExternalPub } from '#mls/group-info/group-info-mismatch.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import type { GroupInfo } from '#mls/group-info/group-info.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';
import { AppError } from '#platform/errors.ts';
import { yieldToEventLoop } from '#platform/process/yield-to-event-loop.ts';
import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { leavesOf } from './leaves.ts';
import type { Leaves } from './leaves.ts';
import { selectCipherSuite, selectGroupInfo, selectLastGroupInfo, upsertGroupInfo } from '../store.ts';

/** A GroupInfo that has been checked and sealed before the conversation's lock is taken. */
export interface CheckedGroupInfo {
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly sealedGroupInfo: Buffer;
  /** SHA-256 over the parts that are equal in all GroupInfos of one epoch. */
  readonly contextDigest: Buffer;
  readonly leaves: Leaves;
}

/** A checked GroupInfo, or the refusal that `storeGroupInfo` will throw. */
export type PreparedGroupInfo = CheckedGroupInfo | AppError;

/**
 * Checks a GroupInfo and seals it, because its ratchet tree shows the members. Call it before taking a lock, because
 * 1,000 leaves with post-quantum keys take tens of milliseconds of computation.
 * @throws AppError InvalidGroupInfo.
 */
export async function checkGroupInfo(
  deps: { privacy: Privacy },
  bytes: Buffer,
  expected: { groupId: Buffer; cipherSuite: number; epoch?: number },
): Promise<CheckedGroupInfo> {
  const { groupId } = expected;
  const info = parseGroupInfo(bytes);
  if (info.epoch !== (expected.epoch ?? info.epoch)) throw refusalFor('InvalidGroupInfo', 'otherEpoch');
  const mismatch = await findGroupInfoMismatch(info, expected);
  if (mismatch !== undefined) throw refusalFor('InvalidGroupInfo', mismatch);
  const { epoch } = info;
  await yieldToEventLoop();
  const padded = padToBucket(wrapInMlsMessage(info.bare, WIRE_FORMAT.groupInfo));
  await yieldToEventLoop();
  const sealedGroupInfo = deps.privacy.seal('group-info', [groupId, epoch], padded);
  return { groupId, epoch, sealedGroupInfo, contextDigest: contextDigestOf(info), leaves: leavesOf(info.tree) };
}

function parseGroupInfo(bytes: Buffer): GroupInfo {
  try {
    return readGroupInfo(bytes);
  } catch (error) {
    if (!(error instanceof MlsFormatError)) throw error;
    const remedy = 'Send a GroupInfo with its ratchet tree (RFC 9420 section 12.4.3), in an MLSMessage or bare.';
    throw refusalWithText('InvalidGroupInfo', `The groupInfo cannot be read. ${error.message} ${remedy}`);
  }
}

/**
 * Hashes the GroupContext, the confirmation tag and external_pub, which are equal in all GroupInfos of one epoch. The
 * signer and further extensions may differ.
 */
function contextDigestOf(info: GroupInfo): Buffer {
  const hash = createHash('sha256');
  for (const part of [info.contextBytes, info.confirmationTag, readExternalPub(info) ?? '']) {
    hash.update(createHash('sha256').update(part).digest());
  }
  return hash.digest();
}

/**
 * Runs `checkGroupInfo` before the conversation's lock is taken. A refusal is returned and not thrown, so that the call
 * can check the caller's permission first and a retry gets its first response.
 * @param mayWrite false for callers who seem to have no permission. Their GroupInfo is refused without a check, because
 *   the time of a check would show that the conversation exists.
 */
export async function prepareGroupInfo(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
  { bytes, mayWrite }: { bytes: Buffer | undefined; mayWrite: boolean },
): Promise<PreparedGroupInfo | undefined> {
  if (bytes === undefined) return undefined;
  if (!mayWrite) return domainError('ConvoNotFound');
  try {
    return await checkGroupInfo(deps, bytes, { groupId, cipherSuite: await selectCipherSuite(deps.db, groupId) });
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/**
 * Stores a GroupInfo, whose epoch must be the one that the conversation has when `tx` ends. A stored GroupInfo of this
 * epoch is replaced only if the context digests are equal.
 * @throws AppError InvalidGroupInfo, or the refusal that `prepareGroupInfo` returned.
 */
export async function storeGroupInfo(
  deps: { timeBucketSeconds: number },
  tx: Tx,
  prepared: PreparedGroupInfo,
  epoch: number,
): Promise<void> {
  if (prepared instanceof AppError) throw prepared;
  if (prepared.epoch !== epoch) throw refusalFor('InvalidGroupInfo', 'otherEpoch');
  const isStored = await upsertGroupInfo(tx, prepared, deps.timeBucketSeconds);
  if (!isStored) throw refusalFor('InvalidGroupInfo', 'otherContext');
}

/** Loads the last stored GroupInfo, which may be of an earlier epoch. */
export async function loadLastGroupInfo(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
): Promise<{ bytes: Buffer; epoch: number } | undefined> {
  const row = await selectLastGroupInfo(deps.db, groupId);
  return row && { bytes: openGroupInfo(deps.privacy, groupId, row), epoch: row.epoch };
}

/** Loads the stored GroupInfo if it is of the current epoch. */
export async function loadGroupInfo(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
): Promise<{ bytes: Buffer; epoch: number; updatedAt: Date } | undefined> {
  const row = await selectGroupInfo(deps.db, groupId);
  return row && { bytes: openGroupInfo(deps.privacy, groupId, row), epoch: row.epoch, updatedAt: row.updatedAt };
}

function openGroupInfo(privacy: Privacy, groupId: Buffer, row: { epoch: number; sealedGroupInfo: Buffer }): Buffer {
  return unpadFromBucket(privacy.unseal('group-info', [groupId, row.epoch], row.sealedGroupInfo));
}
