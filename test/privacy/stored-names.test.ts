import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConversation } from '#domain/conversations/create-conversation.ts';
import { registerDevice } from '#domain/devices/register-device.ts';
import { claimKeyPackages } from '#domain/key-packages/claiming/claim-key-packages.ts';
import { publishKeyPackages } from '#domain/key-packages/publish-key-packages.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { leaveConversation } from '#domain/membership/leave-conversation.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { sendMessage } from '#domain/messages/send-message.ts';
import { getWelcome } from '#domain/welcomes/get-welcome.ts';
import { newUuid } from '#platform/ids.ts';
import { randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { createLeakScanner, dumpTables, formsOf } from '../support/privacy/leak-scanner.ts';
import { MlsMember } from '../support/mls/mls-member.ts';

const [alice = '', bob = '', carol = '', dave = ''] = randomPeople(4);
const eve = 'did:web:eve.example.com';
const people = [alice, bob, carol, dave, eve];
const otherNames = ['Weekend plans in Lisbon', 'Pixel 9 of a friend', 'a confidential description'];
const [groupName = '', deviceName = '', description = ''] = otherNames;

let harness: DomainHarness;
let members: Map<string, MlsMember>;
beforeAll(async () => {
  harness = await startDomainHarness();
  members = new Map(
    await Promise.all(
      people.map(async (did) => [did, await MlsMember.create({ did, cipherSuite: testSuite })] as const),
    ),
  );
});
afterAll(() => harness.close());

const member = (did: string): MlsMember => members.get(did) ?? expect.fail('no such member');

async function publish(did: string): Promise<void> {
  const upload = async (lastResort?: 'extension') => {
    const { bytes } = await member(did).createKeyPackage(lastResort === undefined ? {} : { lastResort });
    return { bytes: Buffer.from(bytes), cipherSuite: testSuite, expiresAtMs: undefined };
  };
  const signatureKey = Buffer.from(member(did).device.signaturePublicKey);
  const registration = {
    name: deviceName,
    uuid: newUuid(),
    signatureKey,
    keyPackages: [await upload(), await upload()],
  };
  await registerDevice(harness.server, { did }, registration);
  const { outcomes } = await publishKeyPackages(harness.server, { did }, [await upload(), await upload('extension')]);
  expect(outcomes).toEqual([undefined, undefined]);
}

async function packagesOf(caller: string, dids: readonly string[]): Promise<Buffer[]> {
  const { packages, missing } = await claimKeyPackages(
    harness.server,
    { did: caller },
    { dids, cipherSuite: testSuite },
  );
  expect(missing).toEqual([]);
  return packages.map(({ keyPackage }) => keyPackage);
}

const toBuffer = (bytes: Uint8Array | undefined): Buffer | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes);

/**
 * Runs a real group: created with a Welcome, grown, with messages, shrunk, with GroupInfos and PublicMessage commits.
 */
async function runGroup(groupId: Buffer): Promise<void> {
  const { server } = harness;
  const conversationId = groupId.toString('hex');
  for (const did of people) await publish(did);
  const admin = member(alice);
  await admin.createGroup(groupId);
  const first = await admin.addMembers(await packagesOf(alice, [bob, eve]));
  await createConversation(
    server,
    { did: alice },
    {
      groupId: conversationId,
      cipherSuite: testSuite,
      initialMembers: [bob, eve],
      welcome: toBuffer(first.welcome),
      groupInfo: toBuffer(first.groupInfo),
      metadata: { name: groupName, description },
      currentEpoch: undefined,
    },
  );
  admin.acceptCommit();
  const second = await admin.addMembers(await packagesOf(alice, [carol, dave]));
  await addMembers(
    server,
    { did: alice },
    {
      conversationId,
      dids: [carol, dave],
      commit: toBuffer(second.commit),
      welcome: toBuffer(second.welcome),
      groupInfo: toBuffer(second.groupInfo),
    },
  );
  admin.acceptCommit();
  await getWelcome(server, { did: carol }, { conversationId, deviceId: undefined });
  const ciphertext = Buffer.from(await admin.encrypt(`hello ${bob}`));
  const message = { conversationId, msgId: newUuid(), epoch: 2, paddedSize: ciphertext.length, ciphertext };
  await sendMessage({ ...server, requireFraming: true }, { did: alice }, message);
  const removal = await admin.removeMember(dave);
  await removeMember(server, { did: alice }, { conversationId, targetDid: dave, commit: toBuffer(removal.commit) });
  admin.acceptCommit();
  await leaveConversation(server, { did: eve }, { conversationId, targetDid: undefined, commit: undefined });
}

describe('after all operations of a group, the whole content of the database', () => {
  test('contains no DID and no name in any encoding or plain hash, in any table', async () => {
    await runGroup(Buffer.from('00112233445566778899aabbccddeeff', 'hex'));
    const scanner = createLeakScanner([...people, ...otherNames]);
    const dump = await dumpTables(harness.database.sql);
    const filled = [...dump].filter(([, bytes]) => bytes.length > 30).map(([name]) => name);
    for (const table of [
      'members',
      'accounts',
      'devices',
      'key_packages',
      'welcomes',
      'welcome_messages',
      'group_infos',
      'conversations',
    ]) {
      expect(filled).toContain(`public.${table} (binary)`);
    }
    expect(filled.some((name) => name.startsWith('public.messages_'))).toBe(true);
    expect(filled.some((name) => name.startsWith('public.events_'))).toBe(true);
    expect([...dump].flatMap(([name, bytes]) => scanner.scan(name, bytes))).toEqual([]);
  });

  test('contains no time finer than the bucket, and no sender', async () => {
    const columns = await harness.database.sql<{ table: string; column: string }[]>`
      SELECT table_name AS "table", column_name AS "column" FROM information_schema.columns
      WHERE table_schema = 'public' AND data_type LIKE 'timestamp%' AND table_name NOT LIKE 'kysely%'
        AND table_name NOT IN ('replay_birth', 'replay_entries')`;
    expect(columns.length).toBeGreaterThan(12);
    for (const { table, column } of columns) {
      const { sql } = harness.database;
      const fine = await sql`SELECT 1 FROM ${sql(table)} WHERE extract(epoch FROM ${sql(column)})::numeric % 60 <> 0`;
      expect({ table, column, fine: fine.length }).toEqual({ table, column, fine: 0 });
    }
    const ofMessages = await harness.database.sql<{ name: string }[]>`
      SELECT attname AS name FROM pg_attribute WHERE attrelid = 'messages'::regclass AND attnum > 0 ORDER BY attnum`;
    expect(ofMessages.map(({ name }) => name)).toEqual([
      'group_id',
      'seq',
      'epoch',
      'kind',
      'msg_id',
      'received_at',
      'body',
    ]);
  });
});

describe('the leak scanner', () => {
  const planted = 'did:plc:scannerfindsthisone23456';
  const scanner = createLeakScanner([planted, 'Lisbon plans']);
  const forms = [...formsOf(planted)];

  test.for(forms)('finds a name as %s', ([form, bytes]) => {
    const around = (middle: Buffer): Buffer =>
      Buffer.concat([Buffer.alloc(333, 0x5a), middle, Buffer.alloc(100, 0x41)]);
    expect(scanner.scan('here', around(bytes))).toContainEqual({ name: planted, form, where: 'here' });
    const hexed = scanner.scan('here', around(Buffer.from(bytes.toString('hex'))));
    expect(hexed).toContainEqual({ name: planted, form: `hex of ${form}`, where: 'here' });
  });

  test.for([0, 1, 2, 3, 4])('finds a name in the base64 of a text at offset %i', (offset) => {
    const text = `${'x'.repeat(offset)}${planted}${'y'.repeat(5)}`;
    for (const encoding of ['base64', 'base64url'] as const) {
      const found = scanner.scan('here', Buffer.from(Buffer.from(text).toString(encoding)));
      expect(found.map(({ form }) => form)).toContain(`${encoding}+${offset % 3}`);
    }
  });

  test('finds the identifier of a DID alone, and names that are planted in a table', async () => {
    const [, , identifier = ''] = planted.split(':');
    expect(scanner.scan('here', Buffer.from(`<${identifier}>`)).map(({ form }) => form)).toContain('raw');
    const { sql } = harness.database;
    await sql`CREATE TABLE planted (as_text text, as_bytes bytea)`;
    await sql`INSERT INTO planted VALUES ('Lisbon plans', ${Buffer.from(planted)})`;
    const dump = await dumpTables(sql);
    await sql`DROP TABLE planted`;
    const leaks = [...dump].flatMap(([name, bytes]) => scanner.scan(name, bytes));
    expect(leaks).toContainEqual({ name: 'Lisbon plans', form: 'raw', where: 'public.planted (text)' });
    expect(leaks).toContainEqual({ name: planted, form: 'raw', where: 'public.planted (binary)' });
    expect(leaks).toContainEqual({ name: planted, form: 'hex', where: 'public.planted (text)' });
  });

  test('finds nothing in random bytes', () => {
    expect(scanner.scan('here', Buffer.from(newUuid().repeat(1_000)))).toEqual([]);
  });
});
