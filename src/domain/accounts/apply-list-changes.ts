import { sql } from 'kysely';
import { readMemberStates } from '#domain/membership/members/read-member-states.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { beginShuffle } from '#storage/rows/shuffled-rows.ts';
import { accountPseudonym, newAccount } from './account.ts';
import { decodeConversationList, encodeConversationList } from './conversation-list.ts';
import {
  deleteListChanges,
  insertMissingAccounts,
  lockAccounts,
  selectListChanges,
  selectRandomAccounts,
  updateLists,
} from './store.ts';
import type { ListChange } from './store.ts';

const changesPerBatchMax = 512;
/** Maximum number of changes of one conversation in a batch. A larger group takes several batches. */
const changesPerConversationMax = 32;
/**
 * Number of accounts that are rewritten for each changed member of a conversation. A guess which of them is in the
 * conversation is then right about once in 64 times, if that many accounts exist.
 */
const accountsPerChange = 64;
const accountsPerBatchMin = 128;
/**
 * Number of the advisory lock that lets only one server at a time apply list changes. It is arbitrary, but the same on
 * every server.
 */
const listChangesLock = 4_018_001;

/**
 * Writes changed memberships into the conversation lists of accounts, and creates missing accounts. Random other
 * accounts are sealed again in the same batch with unchanged contents, to hide which lists changed.
 * @returns how many changes were applied; 0 also while another server applies changes.
 */
export async function applyListChanges(deps: { readonly db: Db; readonly privacy: Privacy }): Promise<number> {
  const changes = await selectListChanges(deps.db, changesPerBatchMax, changesPerConversationMax);
  if (changes.length === 0) return 0;
  const isApplied = await deps.db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ isFree: boolean }>`
      SELECT pg_try_advisory_xact_lock(${listChangesLock}) AS "isFree"`.execute(tx);
    if (rows[0]?.isFree !== true) return false;
    await writeLists(deps.privacy, tx, changes);
    return true;
  });
  if (!isApplied) return 0;
  // The changes are deleted in a later transaction, so that after a crash in between the next batch writes the same
  // values again.
  await deleteListChanges(
    deps.db,
    changes.map(({ changeId }) => changeId),
  );
  return changes.length;
}

async function writeLists(privacy: Privacy, tx: Tx, changes: readonly ListChange[]): Promise<void> {
  // The person in a row of `members` never changes, so this read does not need the locks.
  const people = await readPeople(privacy, tx, changes);
  await insertMissingAccounts(
    tx,
    privacy.keyId,
    [...new Set(people.values())].map((did) => newAccount(privacy, did)),
  );
  const real = [...new Set(people.values())].map((did) => accountPseudonym(privacy, did));
  const others = await selectRandomAccounts(tx, batchSize(changes));
  const rows = await lockAccounts(tx, distinct([...real, ...others]));
  // The states are read after the accounts are locked, so that the last writer of a list has read the latest states.
  const edits = await readEdits(privacy, tx, { changes, people });
  const written = rows.map(({ account, sealedList }) => {
    let list = decodeConversationList(privacy.unseal('account-list', [account], sealedList));
    for (const { groupId, isActive } of edits.get(account.toString('hex')) ?? []) {
      list = list.filter((other) => !other.equals(groupId));
      if (isActive) list.push(groupId);
    }
    return { account, sealedList: privacy.seal('account-list', [account], encodeConversationList(list)) };
  });
  await beginShuffle(tx);
  await updateLists(tx, privacy.keyId, written);
}

/**
 * Computes how many random accounts are rewritten with a batch, which is 64 for each changed member of the conversation
 * with the most changes, and at least 128.
 */
function batchSize(changes: readonly ListChange[]): number {
  const counts = new Map<string, number>();
  for (const { groupId } of changes) {
    const id = groupId.toString('hex');
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return Math.max(accountsPerBatchMin, accountsPerChange * Math.max(...counts.values()));
}

/** Reads the DIDs of changed members. @returns the DIDs by `members.member` in hex. */
async function readPeople(
  privacy: Privacy,
  tx: Tx,
  changes: readonly ListChange[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await readMemberStates(tx, changes);
  return new Map(
    rows.map(({ groupId, member, sealedDid }) => [
      member.toString('hex'),
      privacy.unsealText('member-did', [groupId, member], sealedDid),
    ]),
  );
}

/** Reads the current state of the changed memberships. @returns the states by account pseudonym in hex. */
async function readEdits(
  privacy: Privacy,
  tx: Tx,
  { changes, people }: { changes: readonly ListChange[]; people: ReadonlyMap<string, string> },
): Promise<ReadonlyMap<string, { groupId: Buffer; isActive: boolean }[]>> {
  const edits = new Map<string, { groupId: Buffer; isActive: boolean }[]>();
  for (const { groupId, member, isActive } of await readMemberStates(tx, changes)) {
    const did = required(people.get(member.toString('hex')), 'the person of a changed membership');
    const account = accountPseudonym(privacy, did).toString('hex');
    edits.set(account, [...(edits.get(account) ?? []), { groupId, isActive }]);
  }
  return edits;
}

function distinct(values: readonly Buffer[]): Buffer[] {
  return [...new Set(values.map((value) => value.toString('hex')))].map((hex) => Buffer.from(hex, 'hex'));
}
