import { createHash } from 'node:crypto';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor, refusalWithText } from '#domain/refusal-reasons.ts';
import { findGroupInfoFault, readExternalPub } from '#mls/group-info/group-info-mismatch.ts';
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

/** A GroupInfo that was checked and sealed before a lock was taken. */
export interface CheckedGroupInfo {
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly sealedGroupInfo: Buffer;
  /** SHA-256 over what all GroupInfos of one epoch have in common. */
  readonly contextDigest: Buffer;
  readonly leaves: Leaves;
}

/** What `storeGroupInfo` stores, or the refusal that it throws. */
export type PreparedGroupInfo = CheckedGroupInfo | AppError;

/**
 * Checks a GroupInfo, and seals it, because its tree shows the roster. It takes as long as tens of milliseconds of computation
 * for a group of 1,000 leaves with post-quantum keys, in slices: call it before a lock is taken.
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
  const fault = await findGroupInfoFault(info, expected);
  if (fault !== undefined) throw refusalFor('InvalidGroupInfo', fault);
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

/** GroupContext, confirmation tag and external key follow from the epoch's secrets; signer and further extensions may differ. */
function contextDigestOf(info: GroupInfo): Buffer {
  const hash = createHash('sha256');
  for (const part of [info.contextBytes, info.confirmationTag, readExternalPub(info) ?? '']) {
    hash.update(createHash('sha256').update(part).digest());
  }
  return hash.digest();
}

/**
 * `checkGroupInfo` for callers whose right to the call is decided later, under the lock: a refusal is returned, so that refusals keep
 * their order and a repeated call gets its first answer.
 * @param mayWrite false for callers that seem to have no such right: nothing is checked for them, because the time that it takes
 *   would tell that the conversation exists. Should they be let in a moment later, the call is refused as theirs was.
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
 * Stores a GroupInfo of the epoch that the conversation has when `tx` ends. One of the same epoch is replaced only by one that says
 * the same context: the `WHERE` of the upsert compares the two digests while it holds the row.
 * @throws AppError InvalidGroupInfo, or the refusal that `prepareGroupInfo` found.
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

/** The stored GroupInfo, of whatever epoch. */
export async function loadLastGroupInfo(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
): Promise<{ bytes: Buffer; epoch: number } | undefined> {
  const row = await selectLastGroupInfo(deps.db, groupId);
  if (row === undefined) return undefined;
  const bytes = unpadFromBucket(deps.privacy.unseal('group-info', [groupId, row.epoch], row.sealedGroupInfo));
  return { bytes, epoch: row.epoch };
}

/** The stored GroupInfo, if it is of the current epoch. */
export async function loadGroupInfo(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
): Promise<{ bytes: Buffer; epoch: number; updatedAt: Date } | undefined> {
  const row = await selectGroupInfo(deps.db, groupId);
  if (row === undefined) return undefined;
  const bytes = unpadFromBucket(deps.privacy.unseal('group-info', [groupId, row.epoch], row.sealedGroupInfo));
  return { bytes, epoch: row.epoch, updatedAt: row.updatedAt };
}
