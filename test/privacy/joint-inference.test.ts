import { afterAll, beforeAll, expect, test } from 'vitest';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { accountPseudonym } from '#domain/accounts/account.ts';
import { acceptChatRequest } from '#domain/chat-requests/accept-chat-request.ts';
import { sendChatRequest } from '#domain/chat-requests/send-chat-request.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { storedRef } from '#domain/key-packages/key-package.ts';
import { publishKeyPackages } from '#domain/key-packages/publish-key-packages.ts';
import { applyDeferredWrites } from '#domain/deferred-writes/apply-deferred-writes.ts';
import { newSecret } from '#platform/ids.ts';
import { craftWelcome } from '../support/mls/crafted-mls.ts';
import { plantKeyPackages, randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';

/**
 * What an attacker with a dump and without the key can infer. The dump is every row in its order on disk (ctid), which
 * is the order of COPY. 100 people publish key packages and are then in 150 conversations of two; the test knows the
 * people, the guesses use the dump alone. Transaction ids in row headers and the WAL are not in a dump: see
 * data-folder.test.ts and wal-order.test.ts.
 */
const peopleCount = 100;
const conversationCount = 150;

interface Row {
  readonly table: string;
  readonly values: Readonly<Record<string, unknown>>;
}

let harness: DomainHarness;
let people: string[];
/** The two people of each conversation, in the order of creation. */
const pairs: (readonly [string, string])[] = [];
/** The conversation that used a key package, by the stored reference of the package in hex. */
const usedIn = new Map<string, number>();
let rows: Row[];

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [newSecret(4).readUInt32BE(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

async function publish(did: string): Promise<void> {
  const device = await MlsDevice.create(did, testSuite);
  const { bytes } = await device.createKeyPackage();
  const upload = { bytes: Buffer.from(bytes), cipherSuite: testSuite, expiresAtMs: undefined };
  const { outcomes } = await publishKeyPackages(harness.server, { did }, [upload]);
  expect(outcomes).toEqual([undefined]);
  await plantKeyPackages(harness.server, { did }, 9);
}

async function converse(creator: string, joiner: string): Promise<void> {
  const { server } = harness;
  const { packages } = await claimKeyPackages(server, { did: creator }, { dids: [joiner], cipherSuite: testSuite });
  const groupId = newSecret(16);
  await createConversation(
    server,
    { did: creator },
    {
      groupId: groupId.toString('hex'),
      cipherSuite: testSuite,
      initialMembers: [joiner],
      welcome: craftWelcome(packages.map(({ ref }) => ref)),
      groupInfo: undefined,
      metadata: { name: 'us' },
      currentEpoch: undefined,
    },
  );
  for (const { ref } of packages) usedIn.set(storedRef(harness.privacy, ref).toString('hex'), pairs.length);
  pairs.push([creator, joiner]);
}

/** Sends a chat request that is accepted with a Welcome; its id becomes the group id. */
async function request(): Promise<void> {
  const { server } = harness;
  const [sender = '', recipient = ''] = shuffled(people);
  const { requestId, status } = await sendChatRequest(
    server,
    { did: sender },
    { recipientDid: recipient, previewText: 'hi', heldMessages: [], isGroupInvite: false, conversationId: undefined },
  );
  // Two people who share a conversation need no request.
  if (status === 'bypassed') return request();
  const { packages } = await claimKeyPackages(server, { did: recipient }, { dids: [sender], cipherSuite: testSuite });
  for (const { ref } of packages) usedIn.set(storedRef(harness.privacy, ref).toString('hex'), pairs.length);
  const welcome = craftWelcome(packages.map(({ ref }) => ref));
  await acceptChatRequest(server, { did: recipient }, { requestId, welcome });
}

/** Every row of every table, each table in the order of its rows on disk. */
async function readDump(): Promise<Row[]> {
  const { sql } = harness.database;
  const tables = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'kysely%'`;
  const all = await Promise.all(
    tables.map(async ({ name }) =>
      (await sql`SELECT * FROM ${sql(name)} ORDER BY ctid`).map((values): Row => ({ table: name, values })),
    ),
  );
  return all.flat();
}

beforeAll(async () => {
  harness = await startDomainHarness();
  people = randomPeople(peopleCount);
  for (const did of people) await publish(did);
  for (let index = 0; index < conversationCount; index++) {
    const [creator = '', joiner = ''] = shuffled(people);
    await converse(creator, joiner);
  }
  await request();
  await applyDeferredWrites(harness.server);
  rows = await readDump();
});
afterAll(() => harness.close());

const rowsOf = (table: string): Row[] => rows.filter((row) => row.table === table);

/** Values by which rows could be joined: text and bytes of 8 bytes and more. */
function joinable(row: Row): string[] {
  return Object.entries(row.values).flatMap(([column, value]) => {
    if (column === 'group_id') return [];
    const text = Buffer.isBuffer(value) ? value.toString('hex') : typeof value === 'string' ? value : '';
    return text.length >= 8 ? [text] : [];
  });
}

test('no value occurs in rows of two conversations, in any table', () => {
  const groupsOf = new Map<string, Set<string>>();
  for (const row of rows) {
    const groupId = row.values['group_id'];
    if (!Buffer.isBuffer(groupId)) continue;
    for (const value of joinable(row))
      groupsOf.set(value, (groupsOf.get(value) ?? new Set()).add(groupId.toString('hex')));
  }
  expect(groupsOf.size).toBeGreaterThan(conversationCount * 6);
  expect([...groupsOf.values()].filter((groups) => groups.size > 1)).toEqual([]);
});

test('no value of a person across conversations (account, device, key package) occurs in a row of a conversation, or in two of these tables', () => {
  const tablesOf = new Map<string, Set<string>>();
  const personal = ['accounts', 'devices', 'key_packages'];
  for (const row of rows) {
    const table = personal.includes(row.table) ? row.table : 'a conversation';
    for (const value of joinable(row)) tablesOf.set(value, (tablesOf.get(value) ?? new Set()).add(table));
  }
  expect([...tablesOf].filter(([, tables]) => tables.size > 1)).toEqual([]);
  for (const row of rows.filter(({ table }) => personal.includes(table)))
    expect(row.values).not.toHaveProperty('group_id');
});

test('an accepted chat request does not contain the group id of its conversation', () => {
  const groupIds = new Set(rowsOf('conversations').map(({ values }) => (values['group_id'] as Buffer).toString('hex')));
  const ids = rowsOf('chat_requests').map(({ values }) => String(values['request_id']).replaceAll('-', ''));
  expect([groupIds.size, ids.length]).toEqual([conversationCount + 1, 1]);
  expect(ids.filter((id) => groupIds.has(id))).toEqual([]);
});

test('the sealed values of all accounts with few conversations have one size, and so do those of all members', () => {
  for (const [table, column] of [
    ['accounts', 'sealed_list'],
    ['accounts', 'sealed_did'],
    ['members', 'sealed_did'],
  ] as const) {
    const sizes = new Set(rowsOf(table).map(({ values }) => (values[column] as Buffer).length));
    expect({ table, column, sizes: sizes.size }).toEqual({ table, column, sizes: 1 });
  }
});

/** Spearman's rank correlation of two orders of the same items: 1 the same, -1 reversed, near 0 unrelated. */
function correlation(pairsOfRanks: readonly (readonly [number, number])[]): number {
  const ranks = (values: readonly number[]): Map<number, number> =>
    new Map([...new Set(values)].toSorted((a, b) => a - b).map((value, rank) => [value, rank]));
  const [first, second] = [ranks(pairsOfRanks.map(([a]) => a)), ranks(pairsOfRanks.map(([, b]) => b))];
  const count = pairsOfRanks.length;
  const scaled = pairsOfRanks.map(
    ([a, b]) => ((first.get(a) ?? 0) / first.size - (second.get(b) ?? 0) / second.size) ** 2,
  );
  return 1 - (6 * scaled.reduce((sum, square) => sum + square, 0)) / count;
}

test('the measure of order is 1 for the same order and near 0 for unrelated ones', () => {
  const ordered = people.map((_, index) => [index, index] as const);
  expect(correlation(ordered)).toBeCloseTo(1);
  expect(correlation(ordered.map(([a, b]) => [a, -b] as const))).toBeLessThan(-0.9);
  const [a, b] = [shuffled(ordered), shuffled(ordered)];
  expect(Math.abs(correlation(a.map(([rank], index) => [rank, b[index]?.[0] ?? 0] as const)))).toBeLessThan(0.45);
});

/** 4.5 standard deviations of the correlation of 100 unrelated ranks. */
const unrelatedMax = 0.45;

test('the order of accounts on disk follows neither the first nor the last conversation of their people', () => {
  const position = new Map(
    rowsOf('accounts').map(({ values }, index) => [(values['account'] as Buffer).toString('hex'), index]),
  );
  const positionOf = (did: string): number =>
    position.get(accountPseudonym(harness.privacy, did).toString('hex')) ?? expect.fail('no account');
  const seen = people.filter((did) => pairs.some((pair) => pair.includes(did)));
  expect(position.size).toBe(peopleCount);
  expect(seen.length).toBeGreaterThan(70);
  const firsts = seen.map(
    (did) => [positionOf(did), pairs.findIndex((pair) => pair.includes(did)) + positionOf(did) / 1e6] as const,
  );
  const lasts = seen.map(
    (did) => [positionOf(did), pairs.findLastIndex((pair) => pair.includes(did)) + positionOf(did) / 1e6] as const,
  );
  expect(Math.abs(correlation(firsts))).toBeLessThan(unrelatedMax);
  expect(Math.abs(correlation(lasts))).toBeLessThan(unrelatedMax);
});

test('people with neighbouring accounts share a conversation no more often than others', () => {
  const byPseudonym = new Map(people.map((did) => [accountPseudonym(harness.privacy, did).toString('hex'), did]));
  const inOrder = rowsOf('accounts').map(
    ({ values }) => byPseudonym.get((values['account'] as Buffer).toString('hex')) ?? '',
  );
  const together = (a: string, b: string): boolean => pairs.some((pair) => pair.includes(a) && pair.includes(b));
  const neighbours = inOrder.slice(1).filter((did, index) => together(did, inOrder[index] ?? ''));
  // By chance 3 of 99; rows written together would give about 50.
  expect(neighbours.length).toBeLessThanOrEqual(12);
});

test('used key packages reveal neither by time nor by order which conversation used them', () => {
  const used = rowsOf('key_packages').filter(({ values }) => values['state'] === 3);
  expect(used.length).toBeGreaterThanOrEqual(conversationCount);
  for (const { values } of used) {
    expect(values['claimer']).toBeNull();
    for (const column of ['claimed_at', 'consumed_at']) expect((values[column] as Date).getTime() % 86_400_000).toBe(0);
  }
  const order = used.map(
    ({ values }, index) =>
      [index, usedIn.get((values['ref'] as Buffer).toString('hex')) ?? expect.fail('used nowhere')] as const,
  );
  expect(Math.abs(correlation(order))).toBeLessThan(unrelatedMax);
});
