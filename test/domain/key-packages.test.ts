import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { cleanKeyPackages } from '#domain/key-packages/clean-key-packages.ts';
import { storedRef } from '#domain/key-packages/key-package.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { getWelcome } from '#domain/welcomes/get-welcome.ts';
import { keyPackageRef } from '#mls/key-packages/key-package-ref.ts';
import { required } from '#platform/errors.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { plantKeyPackages, randomPeople, refusalOf, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation, TestServer } from '../support/domain-harness.ts';
import { holdLease } from '../support/processes/held-lease.ts';
import { runJob } from '../support/processes/run-job.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 8 });
  servers = [harness.server, harness.addServer(8)];
});
afterAll(() => harness.close());

/** Claims packages of `owners` as `did`. @returns their KeyPackageRefs (hex), and the people without a package. */
async function claim(
  server: TestServer,
  did: string,
  owners: readonly string[],
): Promise<{ refs: string[]; missing: string[] }> {
  const { packages, missing } = await claimKeyPackages(server, { did }, { dids: owners, cipherSuite: testSuite });
  for (const { ref, keyPackage } of packages) expect(keyPackageRef(keyPackage, 1)).toEqual(ref);
  return { refs: packages.map(({ ref }) => ref.toString('hex')), missing };
}

/** The ref under which a package is stored. */
const storedRefOf = (ref: Buffer | undefined): Buffer => storedRef(harness.privacy, required(ref, 'a ref'));
/** The order in which packages with the same publication time are handed out. */
const inRowOrder = (a: Buffer, b: Buffer): number => Buffer.compare(storedRefOf(a), storedRefOf(b));

const serverFor = (index: number): TestServer => servers[index % 2] ?? harness.server;

// Safe because a package leaves state 1 only under FOR UPDATE, and a search that skipped locked rows is followed by one
// that waits.
test('16 claimers claim all of 500 packages: none is handed out twice, and every claim gets one while packages are left', async () => {
  const [owner = '', ...callers] = randomPeople(501);
  const planted = await plantKeyPackages(harness.server, { did: owner }, 500);
  const handed: string[] = [];
  const next = callers.values();
  await Promise.all(
    Array.from({ length: 16 }, async (_, index) => {
      for (const caller of next) {
        const { refs, missing } = await claim(serverFor(index), caller, [owner]);
        expect({ missing, count: refs.length }).toEqual({ missing: [], count: 1 });
        handed.push(...refs);
      }
    }),
  );
  expect(new Set(handed).size).toBe(500);
  expect(handed.toSorted()).toEqual(planted.map((ref) => ref.toString('hex')).toSorted());
  const [late = ''] = randomPeople(1);
  expect(await claim(harness.server, late, [owner])).toEqual({ refs: [], missing: [owner] });
});

test('when the only available package is locked by another transaction, a claim waits for it', async () => {
  const [owner = '', caller = ''] = randomPeople(2);
  // The second package is the reserve.
  const [ref] = (await plantKeyPackages(harness.server, { did: owner }, 2)).toSorted(inRowOrder);
  await plantKeyPackages(harness.server, { did: owner, lastResort: true }, 1);
  const held = await servers[1].sql.reserve();
  await held`BEGIN`;
  await held`SELECT 1 FROM key_packages WHERE ref = ${storedRefOf(ref)} FOR UPDATE`;
  const claiming = claim(harness.server, caller, [owner]);
  const early = await Promise.race([claiming, harness.server.clock.sleep(150).then(() => 'waits')]);
  await held`ROLLBACK`;
  held.release();
  expect(early).toBe('waits');
  expect(await claiming).toEqual({ refs: [ref?.toString('hex')], missing: [] });
});

// The last-resort package is searched only after a search for one-time packages that neither found one nor skipped a
// locked one.
test('the last-resort package is handed out only when just the reserve is left, and then to every caller', async () => {
  const [owner = '', ...callers] = randomPeople(41);
  const planted = await plantKeyPackages(harness.server, { did: owner }, 31);
  const ordinary = planted.toSorted(inRowOrder).slice(0, 30);
  const [lastResort] = await plantKeyPackages(harness.server, { did: owner, lastResort: true }, 1);
  const responses = await Promise.all(callers.map((caller, index) => claim(serverFor(index), caller, [owner])));
  const served = responses.map(({ refs }) => refs[0] ?? '');
  expect(responses.every(({ refs, missing }) => refs.length === 1 && missing.length === 0)).toBe(true);
  expect(new Set(served.filter((ref) => ref !== lastResort?.toString('hex')))).toEqual(
    new Set(ordinary.map((ref) => ref.toString('hex'))),
  );
  expect(served.filter((ref) => ref === lastResort?.toString('hex'))).toHaveLength(10);
});

// The advisory lock per (owner, caller) serializes the retries of one caller.
test('a repeated claim, also concurrently on two servers, gets the same package of each device', async () => {
  const [owner = '', caller = '', other = ''] = randomPeople(3);
  for (const device of ['phone', 'laptop', 'tablet']) await plantKeyPackages(harness.server, { did: owner, device }, 5);
  const responses = await Promise.all(
    Array.from({ length: 12 }, (_, index) => claim(serverFor(index), caller, [owner])),
  );
  expect(responses[0]?.refs).toHaveLength(3);
  expect(new Set(responses.map(({ refs }) => refs.toSorted().join())).size).toBe(1);
  const theirs = await claim(harness.server, other, [owner]);
  expect(theirs.refs).toHaveLength(3);
  expect(theirs.refs.filter((ref) => responses[0]?.refs.includes(ref))).toEqual([]);

  await harness.database
    .sql`UPDATE key_packages SET claimed_at = claimed_at - interval '11 minutes 1 second' WHERE state = 2`;
  const later = await claim(harness.server, caller, [owner]);
  expect(later.refs).toHaveLength(3);
  expect(later.refs.filter((ref) => responses[0]?.refs.includes(ref))).toEqual([]);
});

test('a retry just under ten minutes later gets the same package', async () => {
  const [owner = '', caller = ''] = randomPeople(2);
  await plantKeyPackages(harness.server, { did: owner }, 3);
  const first = await claim(harness.server, caller, [owner]);
  await harness.database
    .sql`UPDATE key_packages SET claimed_at = claimed_at - interval '9 minutes 59 seconds' WHERE state = 2`;
  expect(await claim(harness.server, caller, [owner])).toEqual(first);
});

// Owners and devices are locked in one order, so that claims of many people's packages cannot deadlock.
test('claimers of 12 people in every order, each with two devices, never deadlock', async () => {
  const people = randomPeople(12);
  for (const did of people) {
    for (const device of ['phone', 'laptop']) await plantKeyPackages(harness.server, { did, device }, 20);
  }
  const callers = randomPeople(24);
  const responses = await Promise.all(
    callers.map((caller, index) => {
      const rotated = [...people.slice(index % 12), ...people.slice(0, index % 12)];
      return claim(serverFor(index), caller, index % 2 === 0 ? rotated : rotated.toReversed());
    }),
  );
  const served = responses.flatMap(({ refs }) => refs);
  expect(new Set(served).size).toBe(served.length);
  // 20 of the 24 callers find an ordinary package on each of the 24 devices.
  expect(served).toHaveLength(20 * 24);
});

async function addWithWelcome(
  server: TestServer,
  add: { caller: string; did: string; conversation: TestConversation; refs: readonly Buffer[]; epoch?: number },
): Promise<number> {
  return addMembers(
    server,
    { did: add.caller },
    {
      conversationId: add.conversation.id,
      dids: [add.did],
      commit: craftCommit(add.conversation.groupId, add.epoch ?? 0),
      welcome: craftWelcome(add.refs),
      groupInfo: undefined,
    },
  );
}

test('a Welcome consumes its package, and only the joiner can get it', async () => {
  const [alice = '', bob = '', carol = ''] = randomPeople(3);
  await plantKeyPackages(harness.server, { did: bob }, 2);
  const conversation = await harness.createConversation([alice]);
  const { refs } = await claim(harness.server, alice, [bob]);
  const used = refs.map((ref) => Buffer.from(ref, 'hex'));
  expect(await addWithWelcome(harness.server, { caller: alice, did: bob, conversation, refs: used })).toBe(1);
  const fetch = (did: string) =>
    getWelcome(harness.server, { did }, { conversationId: conversation.id, deviceId: undefined });
  expect((await fetch(bob)).includes(required(used[0], 'a ref'))).toBe(true);
  expect((await refusalOf(fetch(alice))).code).toBe('WelcomeNotFound');
  expect((await refusalOf(fetch(carol))).code).toBe('ConvoNotFound');
  const again = await claim(harness.server, alice, [bob]);
  expect(again.refs).toHaveLength(1);
  expect(again.refs).not.toEqual(refs);
});

// Safe because the commit's transaction inserts into used_key_packages, whose primary key allows each package once.
test('of two Welcomes with one package one is accepted; the other is refused together with its commit', async () => {
  for (let round = 0; round < 10; round++) {
    const [alice = '', bob = ''] = randomPeople(2);
    await plantKeyPackages(harness.server, { did: bob }, 1);
    const conversations = [await harness.createConversation([alice]), await harness.createConversation([alice])];
    const { refs } = await claim(harness.server, alice, [bob]);
    const used = refs.map((ref) => Buffer.from(ref, 'hex'));
    const outcomes = await Promise.all(
      conversations.map((conversation, index) =>
        refusalOf(addWithWelcome(serverFor(index), { caller: alice, did: bob, conversation, refs: used })),
      ),
    );
    expect(outcomes.map(({ code }) => code).toSorted()).toEqual(['KeyPackageNotFound', 'none']);
    const loser = required(conversations[outcomes.findIndex(({ code }) => code !== 'none')], 'the loser');
    const rows = await harness.database.sql`
      SELECT c.epoch, c.last_seq, (SELECT count(*) FROM members m WHERE m.group_id = c.group_id)::integer AS members,
             (SELECT count(*) FROM welcomes w WHERE w.group_id = c.group_id)::integer AS welcomes
      FROM conversation_counters c WHERE c.group_id = ${loser.groupId}`;
    expect(rows).toEqual([{ epoch: 0, last_seq: 0, members: 1, welcomes: 0 }]);
  }
});

test('a package cannot be used by a caller who did not claim it, nor twice in one Welcome', async () => {
  const [alice = '', bob = '', mallory = ''] = randomPeople(3);
  await plantKeyPackages(harness.server, { did: bob }, 1);
  const { refs } = await claim(harness.server, alice, [bob]);
  const used = refs.map((ref) => Buffer.from(ref, 'hex'));
  const conversation = await harness.createConversation([mallory]);
  const stolen = refusalOf(addWithWelcome(harness.server, { caller: mallory, did: bob, conversation, refs: used }));
  expect((await stolen).code).toBe('KeyPackageNotFound');
  const own = await harness.createConversation([alice]);
  const twice = refusalOf(
    addWithWelcome(harness.server, { caller: alice, did: bob, conversation: own, refs: [...used, ...used] }),
  );
  expect((await twice).code).toBe('KeyPackageNotFound');
});

// A member may commit an Add that another member proposed and claimed the package for (RFC 9420 section 12.4).
test.for([
  { who: 'another member', members: 1, later: 'stays', outcome: 'none' },
  { who: 'a person who left', members: 1, later: 'leaves', outcome: 'KeyPackageNotFound' },
  { who: 'a non-member', members: 0, later: 'stays', outcome: 'KeyPackageNotFound' },
] as const)('a package that $who claimed, in a Welcome of a member: $outcome', async ({ members, later, outcome }) => {
  const [alice = '', bob = '', carol = ''] = randomPeople(3);
  await plantKeyPackages(harness.server, { did: carol }, 2);
  const conversation = await harness.createConversation([alice, ...(members === 1 ? [bob] : [])]);
  const { refs } = await claim(harness.server, bob, [carol]);
  const used = refs.map((ref) => Buffer.from(ref, 'hex'));
  if (later === 'leaves') {
    const leaving = { conversationId: conversation.id, targetDid: undefined, commit: undefined };
    await leaveConversation(harness.server, { did: bob }, leaving);
  }
  const added = addWithWelcome(harness.server, { caller: alice, did: carol, conversation, refs: used });
  expect((await refusalOf(added)).code).toBe(outcome);
});

// Safe because of the primary key of used_key_packages.
test('a package that one member claimed is used once, also by several members at once', async () => {
  const [alice = '', bob = '', carol = ''] = randomPeople(3);
  await plantKeyPackages(harness.server, { did: carol }, 2);
  const conversations = await Promise.all([1, 2, 3, 4].map(() => harness.createConversation([alice, bob])));
  const { refs } = await claim(harness.server, bob, [carol]);
  const used = refs.map((ref) => Buffer.from(ref, 'hex'));
  const outcomes = await Promise.all(
    conversations.map((conversation, index) => {
      const caller = index % 2 === 0 ? alice : bob;
      return refusalOf(addWithWelcome(serverFor(index), { caller, did: carol, conversation, refs: used }));
    }),
  );
  const refused = conversations.slice(1).map(() => 'KeyPackageNotFound');
  expect(outcomes.map(({ code }) => code).toSorted()).toEqual([...refused, 'none']);
});

// The DELETE skips locked rows, and reads the state of the others again under the lock.
test('the clean-up deletes no package that is being handed out, and deletes the others except the newest', async () => {
  const [owner = ''] = randomPeople(1);
  // The claimed package is not the newest one, which the clean-up would keep anyway.
  const planted = await plantKeyPackages(harness.server, { did: owner }, 4);
  const [claimed, ...rest] = planted.toSorted(inRowOrder);
  const held = await servers[1].sql.reserve();
  await held`BEGIN`;
  await held`UPDATE key_packages SET state = 2, claimer = ${Buffer.alloc(16, 1)}, claimed_at = now() WHERE ref = ${storedRefOf(claimed)}`;
  const { db } = harness.database;
  const clean = async (): Promise<{ removed: number }> =>
    cleanKeyPackages({
      db,
      lease: await holdLease(harness.database),
      keyPackagesPerDeviceMax: 1,
      consumedTtlHours: 24,
    });
  const cleaning = clean();
  await harness.server.clock.sleep(100);
  await held`COMMIT`;
  held.release();
  expect((await cleaning).removed).toBeGreaterThanOrEqual(rest.length - 1);
  await clean();
  const newest = required(rest.toSorted(inRowOrder).at(-1), 'a ref');
  const left = await harness.database.sql<{ ref: Buffer }[]>`
    SELECT ref FROM key_packages WHERE ref IN ${harness.database.sql([claimed, ...rest].map(storedRefOf))}`;
  expect(new Set(left.map(({ ref }) => ref.toString('hex')))).toEqual(
    new Set([claimed, newest].map((ref) => storedRefOf(ref).toString('hex'))),
  );
});

test('the clean-up keeps the newest packages of each device, and deletes expired ones and those used over 24 hours ago', async () => {
  const [owner = ''] = randomPeople(1);
  const old = await plantKeyPackages(harness.server, { did: owner }, 3);
  const { sql } = harness.database;
  await sql`UPDATE key_packages SET published_at = published_at - interval '1 hour' WHERE ref IN ${sql(old.map(storedRefOf))}`;
  const fresh = await plantKeyPackages(harness.server, { did: owner }, 5);
  const [lastResort, expired, usedLately, usedLongAgo] = [
    ...(await plantKeyPackages(harness.server, { did: owner, lastResort: true }, 1)),
    ...(await plantKeyPackages(harness.server, { did: owner, device: 'laptop' }, 3)),
  ].map(storedRefOf);
  await sql`UPDATE key_packages SET expires_at = now() - interval '1 second' WHERE ref = ${required(expired, 'a name')}`;
  await sql`UPDATE key_packages SET state = 3, consumed_at = now() - interval '23 hours' WHERE ref = ${required(usedLately, 'a name')}`;
  await sql`UPDATE key_packages SET state = 3, consumed_at = now() - interval '25 hours' WHERE ref = ${required(usedLongAgo, 'a name')}`;
  await runJob(harness.database, 'clean-key-packages', { MAX_KEY_PACKAGES_PER_DEVICE: '5' });
  const all = [...[...old, ...fresh].map(storedRefOf), lastResort, expired, usedLately, usedLongAgo];
  const left = await sql<
    { ref: Buffer }[]
  >`SELECT ref FROM key_packages WHERE ref IN ${sql(all.map((name) => required(name, 'a name')))}`;
  expect(left.map(({ ref }) => ref.toString('hex')).toSorted()).toEqual(
    [...fresh.map(storedRefOf), lastResort, usedLately]
      .map((name) => required(name, 'a name').toString('hex'))
      .toSorted(),
  );
});
