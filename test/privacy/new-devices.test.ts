import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimAddition } from '#domain/device-additions/claim-addition.ts';
import { completeAddition } from '#domain/device-additions/complete-addition.ts';
import { listPendingAdditions } from '#domain/device-additions/list-pending-additions.ts';
import { registerDevice } from '#domain/devices/register-device.ts';
import { randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';

/**
 * A new device concerns every conversation of its owner. Rows written for that in each conversation, or one row per
 * conversation in another table, would be neighbours on disk and link the conversations to one person. The test
 * compares dumps: every table, every column.
 */
const conversationCount = 12;

let harness: DomainHarness;
let owner: string;
/** Each conversation has the owner and one other member. */
let conversations: TestConversation[];

beforeAll(async () => {
  harness = await startDomainHarness();
  const [first = '', ...others] = randomPeople(conversationCount + 1);
  owner = first;
  conversations = [];
  for (const other of others) conversations.push(await harness.createConversation([other, owner]));
});
afterAll(() => harness.close());

async function register(): Promise<string> {
  const device = await MlsDevice.create(owner, testSuite);
  const keyPackages = [];
  for (let index = 0; index <= conversationCount; index++) {
    const { bytes } = await device.createKeyPackage();
    keyPackages.push({ bytes: Buffer.from(bytes), cipherSuite: testSuite, expiresAtMs: undefined });
  }
  const signatureKey = Buffer.from(device.signaturePublicKey);
  const input = { name: 'tablet', uuid: undefined, signatureKey, keyPackages };
  return (await registerDevice(harness.server, { did: owner }, input)).deviceId;
}

async function readTables(where: 'with a group id' | 'without'): Promise<Map<string, Record<string, unknown>[]>> {
  const { sql } = harness.database;
  const tables = await sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'kysely%'
      AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'group_id')
        = ${where === 'with a group id'}
    ORDER BY c.relname`;
  const dump = new Map<string, Record<string, unknown>[]>();
  for (const { name } of tables) dump.set(name, [...(await sql`SELECT * FROM ${sql(name)} ORDER BY ctid`)]);
  return dump;
}

async function claimRows(): Promise<Record<string, unknown>[]> {
  return (await readTables('without')).get('device_additions') ?? expect.fail('no such table');
}

test('registering a device writes nothing in the conversations that it waits for, and no row per conversation', async () => {
  const before = await readTables('with a group id');
  expect([...before.keys()]).toEqual(expect.arrayContaining(['conversations', 'members', 'conversation_counters']));
  expect(before.get('members')?.length).toBe(conversationCount * 2);
  const deviceId = await register();
  expect(await readTables('with a group id')).toEqual(before);
  expect(await claimRows()).toEqual([]);
  const [device, ...others] = (await readTables('without')).get('devices') ?? [];
  expect([device?.['device_id'], others.length]).toEqual([deviceId, 0]);
  // The size of the list reveals a power of two from 16 up, as that of the account does.
  const account = (await readTables('without')).get('accounts')?.[0]?.['sealed_list'] as Buffer;
  const { sealed_waiting: waiting } = device ?? {};
  expect((waiting as Buffer).length).toBe(account.length);
});

test('claims and completions write nothing in the conversations either; their rows name none, and have equal form', async () => {
  const { server, privacy } = harness;
  const before = await readTables('with a group id');
  const waiting = await listPendingAdditions(server, { did: owner }, { conversationIds: undefined, limit: 100 });
  expect(waiting.length).toBe(conversationCount);
  for (const [index, { id, groupId }] of waiting.entries()) {
    const { creator = '' } = conversations.find((each) => each.groupId.equals(groupId)) ?? {};
    expect((await claimAddition(server, { did: creator }, id)).kind).toBe('claimed');
    if (index % 2 === 0) expect(await completeAddition(server, { did: creator }, id)).toBe('completed');
  }
  expect(await readTables('with a group id')).toEqual(before);

  const rows = await claimRows();
  expect(rows.length).toBe(conversationCount);
  const values = rows.map((row) => ({ key: row['addition'] as Buffer, seal: row['sealed_claim'] as Buffer }));
  expect(new Set(values.map(({ key }) => key.toString('hex'))).size).toBe(conversationCount);
  // A claim and a completion have the same size and the same day.
  expect(new Set(values.map(({ seal }) => seal.length)).size).toBe(1);
  const days = rows.map((row) => (row['expires_on'] as Date).getTime());
  expect(new Set(days).size).toBe(1);
  expect((days[0] ?? 1) % 86_400_000).toBe(0);

  const elsewhere = new Set(
    [...(await readTables('without')), ...(await readTables('with a group id'))]
      .filter(([table]) => table !== 'device_additions')
      .flatMap(([, tableRows]) => tableRows.flatMap((row) => Object.values(row)))
      .filter((value) => Buffer.isBuffer(value))
      .map((value) => value.toString('hex')),
  );
  expect(elsewhere.size).toBeGreaterThan(conversationCount * 5);
  for (const { key } of values) expect(elsewhere.has(key.toString('hex'))).toBe(false);
  for (const { groupId } of conversations) {
    for (const { key, seal } of values) {
      expect(key.includes(groupId) || seal.includes(groupId)).toBe(false);
      expect(privacy.pseudonym('member', [groupId], owner).equals(key)).toBe(false);
    }
  }
});
