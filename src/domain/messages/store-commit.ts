import { padToBucket, unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { messageKinds } from './message.ts';
import { insertMessage, selectByMsgId, selectCommits } from './store.ts';

/** The maximum total size of the commits that `loadCommits` opens at once, in bytes. */
const followedSizeBytesMax = 16_777_216;

/** A commit that passed the comparison of epochs and can be stored. */
export interface AcceptedCommit {
  /** The MLSMessage as the committer sent it. */
  readonly bytes: Buffer;
  /** The result of `commitId` for the bytes, by which a retry is found. */
  readonly id: string;
}

/**
 * Derives the message id of a commit with a secret key, so that the id reveals nothing about the leaves in the commit.
 */
export function commitId(privacy: Privacy, groupId: Buffer, bytes: Uint8Array): string {
  return privacy.pseudonym('commit-id', [groupId], bytes).toString('hex');
}

/** Finds the epoch that an already stored commit started, which is the result of a retry. */
export async function findStoredCommit(tx: Tx, groupId: Buffer, id: string): Promise<number | undefined> {
  const stored = await selectByMsgId(tx, groupId, id);
  return stored?.kind === messageKinds.commit ? stored.epoch : undefined;
}

/** Stores a commit, sealed for its conversation and epoch. `tx` must hold the conversation's lock. */
export async function storeCommit(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  row: { groupId: Buffer; seq: number; epoch: number; commit: AcceptedCommit },
): Promise<void> {
  const body = deps.privacy.seal('commit', [row.groupId, row.epoch], padToBucket(row.commit.bytes));
  await insertMessage(
    tx,
    { groupId: row.groupId, seq: row.seq, epoch: row.epoch, kind: messageKinds.commit, msgId: row.commit.id, body },
    deps.timeBucketSeconds,
  );
}

/**
 * Loads the commits that started the epochs `fromEpoch` to `toEpoch`, in the order of epochs.
 * @returns an empty list when they are more than 16 MiB together.
 */
export async function loadCommits(
  deps: { db: Db; privacy: Privacy },
  groupId: Buffer,
  epochs: { fromEpoch: number; toEpoch: number },
): Promise<Buffer[]> {
  const rows = await selectCommits(deps.db, groupId, { ...epochs, sizeBytesMax: followedSizeBytesMax });
  return rows.map(({ epoch, body }) => openCommit(deps.privacy, { groupId, epoch, body }));
}

/** Unseals a stored commit and returns the bytes that the committer sent. */
export function openCommit(privacy: Privacy, row: { groupId: Buffer; epoch: number; body: Buffer }): Buffer {
  return unpadFromBucket(privacy.unseal('commit', [row.groupId, row.epoch], row.body));
}
