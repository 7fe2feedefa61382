import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { messageKinds } from './message.ts';
import { insertMessage, selectProposals, sumProposals } from './store.ts';

/**
 * Stores a proposal in clear, sealed for its conversation and epoch because it shows leaves. `tx` must hold the
 * conversation's lock.
 * @returns the stored time of receipt.
 */
export async function storeProposal(
  deps: { privacy: Privacy; timeBucketSeconds: number },
  tx: Tx,
  row: { groupId: Buffer; seq: number; epoch: number; msgId: string; padded: Buffer },
): Promise<Date> {
  const { groupId, seq, epoch, msgId } = row;
  const body = deps.privacy.seal('proposal', [groupId, epoch], row.padded);
  return insertMessage(tx, { groupId, seq, epoch, kind: messageKinds.proposal, msgId, body }, deps.timeBucketSeconds);
}

/** Unseals a stored proposal and returns the padded message that the sender sent. */
export function openProposal(privacy: Privacy, row: { groupId: Buffer; epoch: number; body: Buffer }): Buffer {
  return privacy.unseal('proposal', [row.groupId, row.epoch], row.body);
}

/** Loads the proposals in clear of one epoch that have a higher `seq` than `afterSeq`, in the order of `seq`. */
export async function loadProposals(
  deps: { privacy: Privacy; db: Db },
  groupId: Buffer,
  { epoch, afterSeq }: { epoch: number; afterSeq: number },
): Promise<{ seq: number; padded: Buffer }[]> {
  const rows = await selectProposals(deps.db, groupId, { epoch, afterSeq });
  return rows.map(({ seq, body }) => ({ seq, padded: openProposal(deps.privacy, { groupId, epoch, body }) }));
}

/**
 * Counts the proposals in clear of one epoch and adds up their sizes. `tx` must hold the conversation's lock, so that
 * no proposal is added before `tx` ends.
 */
export async function countProposals(
  tx: Tx,
  groupId: Buffer,
  epoch: number,
): Promise<{ count: number; sizeBytes: number }> {
  return sumProposals(tx, groupId, epoch);
}
