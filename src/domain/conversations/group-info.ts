import { domainError } from '#domain/domain-error.ts';
import { readGroupInfo } from '#mls/group-info.ts';
import { MlsFormatError } from '#mls/mls-format-error.ts';
import { limits } from '#platform/limits.ts';
import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/database.ts';
import { selectGroupInfo, upsertGroupInfo } from './store.ts';

/**
 * Checks that `bytes` are a GroupInfo of this group and epoch; the signature is for the joiners to check (RFC 9420 12.4.3).
 * @throws AppError InvalidGroupInfo.
 */
export function checkGroupInfo(bytes: Buffer, expected: { groupId: Buffer; epoch: number }): void {
  if (bytes.length < limits.groupInfoSizeBytesMin || bytes.length > limits.groupInfoSizeBytesMax)
    throw domainError('InvalidGroupInfo');
  try {
    const header = readGroupInfo(bytes);
    if (header.epoch !== expected.epoch || !expected.groupId.equals(header.groupId))
      throw domainError('InvalidGroupInfo');
  } catch (error) {
    if (error instanceof MlsFormatError) throw domainError('InvalidGroupInfo');
    throw error;
  }
}

/** Stores a checked GroupInfo, sealed: its tree shows the roster. */
export async function storeGroupInfo(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  groupInfo: { groupId: Buffer; epoch: number; bytes: Buffer },
): Promise<void> {
  const { groupId, epoch } = groupInfo;
  const sealedGroupInfo = deps.privacy.seal('group-info', [groupId, epoch], padToBucket(groupInfo.bytes));
  await upsertGroupInfo(tx, { groupId, epoch, sealedGroupInfo }, deps.timeBucketSeconds);
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
