import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { decodeConversationList } from '#domain/accounts/conversation-list.ts';
import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import { applyListChanges } from '#domain/accounts/apply-list-changes.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { keyPackageOwner } from '#domain/key-packages/key-package.ts';
import { countPackages, listConsumedPackages } from '#domain/key-packages/history/list-package-uses.ts';
import { applyKeyPackageUses } from '#domain/key-packages/single-use/apply-key-package-uses.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { applyDeferredWritesWhenDue, applyDeferredWrites } from '#domain/deferred-writes/apply-deferred-writes.ts';
import { newSecret } from '#platform/ids.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import {
  createTestConversation,
  plantKeyPackages,
  randomPeople,
  refusalOf,
  startDomainHarness,
  testSuite,
} from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation, TestServer } from '../support/domain-harness.ts';
import { runJob } from '../support/processes/run-job.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];
beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 10 });
  servers = [harness.server, harness.addServer(10)];
});
afterAll(() => harness.close());

const serverFor = (index: number): TestServer => servers[index % 2] ?? harness.server;

const add = (server: TestServer, caller: string, to: TestConversation, dids: string[]): Promise<number> =>
  addMembers(
    server,
    { did: caller },
    { conversationId: to.id, dids, commit: undefined, welcome: undefined, groupInfo: undefined },
  );
const leave = (server: TestServer, did: string, { id }: TestConversation): Promise<number> =>
  leaveConversation(server, { did }, { conversationId: id, targetDid: undefined, commit: undefined });
const remove = (server: TestServer, by: string, { id }: TestConversation, targetDid: string): Promise<number> =>
  removeMember(server, { did: by }, { conversationId: id, targetDid, commit: undefined });

const hexes = (groupIds: readonly Buffer[]): string[] => groupIds.map((groupId) => groupId.toString('hex')).toSorted();

async function waiting(table: 'conversation_list_changes' | 'used_key_packages'): Promise<number> {
  const [row] = await harness.database.sql<{ count: number }[]>`
    SELECT count(*)::integer AS count FROM ${harness.database.sql(table)}`;
  return row?.count ?? 0;
}

/** The list in the account's own row, without deferred changes. */
async function storedList(did: string): Promise<string[]> {
  const account = accountPseudonym(harness.privacy, did);
  const [row] = await harness.database.sql<{ list: Buffer }[]>`
    SELECT sealed_list AS list FROM accounts WHERE account = ${account}`;
  return row === undefined
    ? []
    : hexes(decodeConversationList(harness.privacy.unseal('account-list', [account], row.list)));
}

async function memberOf(did: string): Promise<string[]> {
  const groups = await harness.database.sql<{ groupId: Buffer }[]>`SELECT group_id AS "groupId" FROM conversations`;
  const rosters = await listRosters(
    harness.server,
    groups.map(({ groupId }) => groupId),
  );
  return [...rosters]
    .filter(([, { members }]) => members.some((member) => member.did === did))
    .map(([id]) => id)
    .toSorted();
}

/** Makes every deletion from the table fail, like a crash before it. */
async function dyingBefore(table: string, work: () => Promise<unknown>): Promise<void> {
  const { sql } = harness.database;
  await sql.unsafe(`
    CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'died'; END $$;
    CREATE TRIGGER die BEFORE DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION die()`);
  await expect(work()).rejects.toThrow('died');
  await sql.unsafe(`DROP TRIGGER die ON ${table}`);
}

describe('lists of conversations', () => {
  test('adds, removals, leaves and re-adds of the same people, while two servers apply changes, end with lists equal to memberships', async () => {
    const people = randomPeople(12);
    const conversations: TestConversation[] = [];
    for (let nth = 0; nth < 8; nth++)
      conversations.push(await createTestConversation(harness.server, [people[nth] ?? '', people[nth + 1] ?? '']));
    let isOver = false;
    let rounds = 0;
    const applier = async (server: TestServer): Promise<void> => {
      while (!isOver) if ((await applyListChanges(server)) > 0) rounds++;
    };
    const applying = servers.map(applier);
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        for (let round = 0; round < 25; round++) {
          const server = serverFor(index + round);
          const [first = 0, second = 0, dice = 0] = newSecret(3);
          const conversation = conversations[first % conversations.length];
          const person = people[second % people.length] ?? '';
          if (conversation === undefined) continue;
          const { creator } = conversation;
          if (dice < 128) await refusalOf(add(server, creator, conversation, [person]));
          else if (dice < 190) await refusalOf(remove(server, creator, conversation, person));
          else await refusalOf(leave(server, person, conversation));
        }
      }),
    );
    isOver = true;
    await Promise.all(applying);
    expect(rounds).toBeGreaterThan(5);
    for (const did of people)
      expect(hexes(await readConversationList(harness.server, did))).toEqual(await memberOf(did));
    await applyDeferredWrites(harness.server);
    expect(await waiting('conversation_list_changes')).toBe(0);
    for (const did of people) expect(await storedList(did)).toEqual(await memberOf(did));
  });

  test('a list is exact on every server at once: before, while and after its changes are applied', async () => {
    const [creator = '', ...others] = randomPeople(31);
    const conversation = await createTestConversation(harness.server, [creator]);
    const has = async (server: TestServer, did: string): Promise<boolean> =>
      (await readConversationList(server, did)).some((groupId) => groupId.equals(conversation.groupId));
    let isOver = false;
    const applying = (async () => {
      while (!isOver) await applyListChanges(serverFor(1));
    })();
    for (const [index, did] of others.entries()) {
      await add(serverFor(index), creator, conversation, [did]);
      for (let nth = 0; nth < 5; nth++) expect(await has(serverFor(nth), did)).toBe(true);
      await remove(serverFor(index), creator, conversation, did);
      for (let nth = 0; nth < 5; nth++) expect(await has(serverFor(nth), did)).toBe(false);
    }
    isOver = true;
    await applying;
  });

  test('the transaction of a change writes and locks no account; missing accounts are created when the change is applied', async () => {
    const [creator = '', joiner = ''] = randomPeople(2);
    await ensureAccount(harness.server, joiner);
    const versions = (): Promise<unknown> =>
      harness.database.sql`SELECT count(*), max(xmin::text::bigint), max(xmax::text::bigint) FROM accounts`;
    const before = await versions();
    await createTestConversation(harness.server, [creator, joiner]);
    expect(await versions()).toEqual(before);
    expect(await readConversationList(harness.server, creator)).toHaveLength(1);
    await applyDeferredWrites(harness.server);
    expect([await storedList(creator), await storedList(joiner)].map((list) => list.length)).toEqual([1, 1]);
  });

  test('after a crash between writing the lists and deleting the changes, another server applies the latest memberships', async () => {
    const [alice = '', bob = ''] = randomPeople(2);
    const conversation = await createTestConversation(harness.server, [alice, bob]);
    await dyingBefore('conversation_list_changes', () => applyListChanges(harness.server));
    expect(await storedList(bob)).toHaveLength(1);
    await remove(harness.server, alice, conversation, bob);
    expect(await readConversationList(serverFor(1), bob)).toEqual([]);
    await applyDeferredWrites(serverFor(1));
    expect([await storedList(alice), await storedList(bob), await waiting('conversation_list_changes')]).toEqual([
      [conversation.id],
      [],
      0,
    ]);
  });

  test('the account of one changed member is rewritten together with random accounts, whose lists do not change', async () => {
    const idle = randomPeople(400);
    for (const did of idle) await ensureAccount(harness.server, did);
    const [creator = ''] = randomPeople(1);
    await createTestConversation(harness.server, [creator]);
    const list = await storedList(idle[0] ?? '');
    await applyListChanges(harness.server);
    const [row] = await harness.database.sql<{ count: number }[]>`
      SELECT count(*)::integer AS count FROM accounts
      WHERE xmin = (SELECT xmin FROM accounts WHERE account = ${accountPseudonym(harness.privacy, creator)})`;
    expect(row?.count).toBeGreaterThanOrEqual(128);
    expect(row?.count).toBeLessThanOrEqual(130);
    expect(await storedList(idle[0] ?? '')).toEqual(list);
  });

  test('changes of a large group are applied in several batches', async () => {
    const people = randomPeople(100);
    const conversation = await createTestConversation(harness.server, people);
    const sizes: number[] = [];
    for (let size = 1; size > 0; sizes.push(size)) size = await applyListChanges(harness.server);
    expect(sizes).toEqual([32, 32, 32, 4, 0]);
    for (const did of people.slice(0, 5)) expect(await storedList(did)).toEqual([conversation.id]);
  });
});

describe('used key packages', () => {
  const claim = async (caller: string, owner: string): Promise<Buffer[]> =>
    (await claimKeyPackages(harness.server, { did: caller }, { dids: [owner], cipherSuite: testSuite })).packages.map(
      ({ ref }) => ref,
    );
  const invite = (
    server: TestServer,
    caller: string,
    to: TestConversation,
    [did, refs]: readonly [string, readonly Buffer[]],
  ): Promise<number> =>
    addMembers(
      server,
      { did: caller },
      {
        conversationId: to.id,
        dids: [did],
        commit: craftCommit(to.groupId, 0),
        welcome: craftWelcome(refs),
        groupInfo: undefined,
      },
    );
  const stateOf = async (owner: string): Promise<unknown> =>
    (
      await harness.database.sql`
        SELECT state, claimer IS NULL AS "isAnonymous", claimed_at = date_trunc('day', now()) AS "isDay",
               consumed_at = date_trunc('day', now()) + interval '1 day' AS "endsWithDay"
        FROM key_packages WHERE owner = ${keyPackageOwner(harness.privacy, owner)} AND state <> 1`
    )[0];

  test('of many Welcomes with one package, while two servers apply uses, exactly one is accepted', async () => {
    let isOver = false;
    const applying = servers.map(async (server) => {
      while (!isOver) await applyKeyPackageUses(server);
    });
    for (let round = 0; round < 15; round++) {
      const [alice = '', bob = ''] = randomPeople(2);
      await plantKeyPackages(harness.server, { did: bob }, 1);
      const refs = await claim(alice, bob);
      const conversations: TestConversation[] = [];
      for (let nth = 0; nth < 8; nth++) conversations.push(await createTestConversation(harness.server, [alice]));
      const outcomes = await Promise.all(
        conversations.map((conversation, index) =>
          refusalOf(invite(serverFor(index), alice, conversation, [bob, refs])),
        ),
      );
      expect(outcomes.filter(({ code }) => code === 'none')).toHaveLength(1);
      expect(outcomes.filter(({ code }) => code === 'KeyPackageNotFound')).toHaveLength(7);
      const late = await createTestConversation(harness.server, [alice]);
      expect((await refusalOf(invite(harness.server, alice, late, [bob, refs]))).code).toBe('KeyPackageNotFound');
    }
    isOver = true;
    await Promise.all(applying);
  }, 60_000);

  test('a Welcome neither writes nor locks rows of key packages, and the owner sees the use at once', async () => {
    const [alice = '', bob = ''] = randomPeople(2);
    await plantKeyPackages(harness.server, { did: bob }, 3);
    const refs = await claim(alice, bob);
    const conversation = await createTestConversation(harness.server, [alice]);
    const versions = (): Promise<unknown> =>
      harness.database.sql`SELECT max(xmin::text::bigint), max(xmax::text::bigint) FROM key_packages`;
    const before = await versions();
    await invite(harness.server, alice, conversation, [bob, refs]);
    expect(await versions()).toEqual(before);
    const shown = async (): Promise<unknown> => [
      await countPackages(harness.server, { did: bob }, undefined),
      (
        await listConsumedPackages(harness.server, { did: bob }, { limit: 10, cursor: undefined, deviceTag: undefined })
      ).packages.map(({ ref, consumedAt }) => [ref.toString('hex'), consumedAt]),
    ];
    const early = await shown();
    expect(early).toEqual([
      { total: 3, available: 2, handedOut: 0, consumed: 1 },
      [[refs[0]?.toString('hex'), new Date(new Date().setUTCHours(0, 0, 0, 0))]],
    ]);
    await applyDeferredWrites(harness.server);
    expect(await shown()).toEqual(early);
    expect(await stateOf(bob)).toEqual({ state: 3, isAnonymous: true, isDay: true, endsWithDay: true });
  });

  test('uses are applied after a crash, and the packages are deleted when their time is over', async () => {
    const [alice = '', bob = ''] = randomPeople(2);
    await plantKeyPackages(harness.server, { did: bob }, 2);
    await invite(harness.server, alice, await createTestConversation(harness.server, [alice]), [
      bob,
      await claim(alice, bob),
    ]);
    await dyingBefore('used_key_packages', () => applyKeyPackageUses(harness.server));
    await applyDeferredWrites(harness.server);
    expect(await waiting('used_key_packages')).toBe(0);
    await runJob(harness.database, 'clean-key-packages');
    expect(await stateOf(bob)).toBeDefined();
    await harness.database.sql`
      UPDATE key_packages SET consumed_at = consumed_at - interval '49 hours'
      WHERE owner = ${keyPackageOwner(harness.privacy, bob)} AND state = 3`;
    await runJob(harness.database, 'clean-key-packages');
    expect(await stateOf(bob)).toBeUndefined();
  });

  test('the time of a claim is rounded to the day once the claim can no longer be repeated', async () => {
    const [alice = '', bob = ''] = randomPeople(2);
    await plantKeyPackages(harness.server, { did: bob }, 2);
    const [ref] = await claim(alice, bob);
    const isDay = async (): Promise<unknown> =>
      (
        await harness.database.sql`
          SELECT claimed_at = date_trunc('day', claimed_at) AS "isDay" FROM key_packages
          WHERE owner = ${keyPackageOwner(harness.privacy, bob)} AND state = 2`
      )[0]?.['isDay'];
    await harness.database.sql`
      UPDATE key_packages SET claimed_at = date_trunc('day', now()) - interval '1 hour 30 minutes'
      WHERE owner = ${keyPackageOwner(harness.privacy, bob)} AND state = 2`;
    expect(await isDay()).toBe(false);
    await applyDeferredWrites(harness.server);
    expect(await isDay()).toBe(true);
    const conversation = await createTestConversation(harness.server, [alice]);
    expect(ref).toBeDefined();
    expect(await invite(harness.server, alice, conversation, [bob, ref === undefined ? [] : [ref]])).toBe(1);
  });
});

test('deferred writes are applied by one server in each interval, and by none when there are none', async () => {
  const { sql } = harness.database;
  await applyDeferredWrites(harness.server);
  const appliedAt = async (): Promise<Date | undefined> =>
    (await sql<{ at: Date }[]>`SELECT settled_at AS at FROM last_settlement`)[0]?.at;
  await sql`UPDATE last_settlement SET settled_at = now() - interval '1 hour'`;
  const first = await appliedAt();
  await applyDeferredWritesWhenDue(harness.server, 300);
  expect(await appliedAt()).toEqual(first);
  const [creator = ''] = randomPeople(1);
  await createTestConversation(harness.server, [creator]);
  await Promise.all(servers.map((server) => applyDeferredWritesWhenDue(server, 300)));
  const second = await appliedAt();
  expect(second).not.toEqual(first);
  expect(await waiting('conversation_list_changes')).toBe(0);
  await createTestConversation(harness.server, [creator]);
  await applyDeferredWritesWhenDue(harness.server, 300);
  expect([await appliedAt(), await waiting('conversation_list_changes')]).toEqual([second, 1]);
});

test('a written row is marked, and then shuffled with a fixed number of other rows, in a random order on each page', async () => {
  const { sql } = harness.database;
  const people = randomPeople(600);
  for (const did of people) await ensureAccount(harness.server, did);
  const unshuffled = async (): Promise<number> =>
    (await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM accounts WHERE NOT mixed`)[0]?.count ?? 0;
  expect(await unshuffled()).toBeGreaterThanOrEqual(600);
  await applyDeferredWrites(harness.server);
  expect(await unshuffled()).toBe(0);
  const order = new Map(people.map((did, index) => [accountPseudonym(harness.privacy, did).toString('hex'), index]));
  const rows = await sql<{ account: Buffer }[]>`SELECT account FROM accounts ORDER BY ctid`;
  const stored = rows.flatMap(({ account }) => order.get(account.toString('hex')) ?? []);
  const ascents = stored.filter((index, nth) => nth > 0 && index === (stored[nth - 1] ?? 0) + 1).length;
  // A new row version stays on its page if there is room, so some neighbours stay near; in the order of writing there
  // would be 599.
  expect(ascents).toBeLessThan(300);

  const account = accountPseudonym(harness.privacy, people[0] ?? '');
  await sql`UPDATE accounts SET sealed_settings = sealed_settings WHERE account = ${account}`;
  expect(await unshuffled()).toBe(1);
  await applyDeferredWrites(harness.server);
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::integer AS count FROM accounts
    WHERE xmin = (SELECT xmin FROM accounts WHERE account = ${account})`;
  expect(row?.count).toBe(256);
});
