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
/** One conversation's members in one batch; those of a large group come in several. */
const changesPerConversationMax = 32;
/**
 * For each changed member of one conversation so many accounts are written anew, if there are as many. Who guesses that an
 * account is in a conversation is right about once in 64 times.
 */
const accountsPerChange = 64;
const accountsPerBatchMin = 128;
/** An arbitrary number, the same on every server: one of them settles at a time. */
const listChangesLock = 4_018_001;

/**
 * Carries changed memberships over into the lists of accounts, together with accounts at random whose lists are sealed anew as they
 * are. Accounts that are missing are made. Exact with many servers: states of memberships are read by a statement after the locks
 * on the accounts (taken in the order of their names), so whoever writes a list last has read the latest states. The changes are
 * deleted in a later transaction; if the process dies before, the next batch does the same again, which changes nothing.
 * @returns how many changes were carried over; 0 also while another server is at it.
 */
export async function applyListChanges(deps: { readonly db: Db; readonly privacy: Privacy }): Promise<number> {
  const changes = await selectListChanges(deps.db, changesPerBatchMax, changesPerConversationMax);
  if (changes.length === 0) return 0;
  const isSettled = await deps.db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ isFree: boolean }>`
      SELECT pg_try_advisory_xact_lock(${listChangesLock}) AS "isFree"`.execute(tx);
    if (rows[0]?.isFree !== true) return false;
    await carryOver(deps.privacy, tx, changes);
    return true;
  });
  if (!isSettled) return 0;
  await deleteListChanges(
    deps.db,
    changes.map(({ changeId }) => changeId),
  );
  return changes.length;
}

async function carryOver(privacy: Privacy, tx: Tx, changes: readonly ListChange[]): Promise<void> {
  // Whom a row of `members` is about never changes, so this may be read before the locks.
  const people = await readPeople(privacy, tx, changes);
  await insertMissingAccounts(
    tx,
    privacy.keyId,
    [...new Set(people.values())].map((did) => newAccount(privacy, did)),
  );
  const real = [...new Set(people.values())].map((did) => accountPseudonym(privacy, did));
  const others = await selectRandomAccounts(tx, batchSize(changes));
  const rows = await lockAccounts(tx, distinct([...real, ...others]));
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

/** By how many accounts a batch is hidden: more, the more members of one conversation are in it. */
function batchSize(changes: readonly ListChange[]): number {
  const counts = new Map<string, number>();
  for (const { groupId } of changes) {
    const id = groupId.toString('hex');
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return Math.max(accountsPerBatchMin, accountsPerChange * Math.max(...counts.values()));
}

/** The DIDs of changed members, by `members.member` in hex. */
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

/** What has become of the changed memberships by now, by account in hex. */
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
