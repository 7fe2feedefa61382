import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MethodName } from '#client/api/methods.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { craftCommit } from '../support/mls/crafted-mls.ts';
import { craftedSuite, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { createLeakScanner, dumpTables } from '../support/privacy/leak-scanner.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, RequestOf, XrpcClient } from '../support/clients/xrpc-client.ts';
import { runJob } from '../support/processes/run-job.ts';

let bed: TestBed;
let alice: XrpcClient;
let bob: XrpcClient;

beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  [alice, bob] = [bed.client(), bed.client()];
});
afterAll(() => bed?.stop());

const duplicates = 16;

/** Concurrent duplicates of a call, half of them to each server. */
function callConcurrently<Name extends MethodName>(
  client: XrpcClient,
  name: Name,
  request: RequestOf<Name>,
): Promise<ResponseOf<Name>[]> {
  const { account } = client;
  const clients = [bed.client({ account }), bed.client({ account, server: 1 })];
  const calls = Array.from({ length: duplicates }, (_, nth) => clients[nth % 2]?.call(name, request));
  return Promise.all(calls.filter((call) => call !== undefined));
}

async function rowsOf(table: 'conversations' | 'events' | 'idempotency_keys'): Promise<number> {
  const [row] = await bed.database.sql<{ count: number }[]>`SELECT count(*) FROM ${bed.database.sql(table)}`;
  return Number(row?.count);
}

function newConversation(idempotencyKey: string, others: readonly XrpcClient[] = []): RequestOf<'createConvo'> {
  return {
    groupId: newSecret(16).toString('hex'),
    cipherSuite: craftedSuite,
    initialMembers: others.map(({ did }) => did),
    idempotencyKey,
  };
}

describe('sixteen concurrent duplicates on two servers', () => {
  test('createConvo: one conversation, one result', async () => {
    const [conversations, events] = [await rowsOf('conversations'), await rowsOf('events')];
    const results = await callConcurrently(alice, 'createConvo', newConversation(newUuid(), [bob]));
    expect(results).toHaveLength(duplicates);
    for (const result of results) expect(result).toEqual(results[0]);
    expect([(await rowsOf('conversations')) - conversations, (await rowsOf('events')) - events]).toEqual([1, 2]);
  });

  test('addMembers with a commit: one epoch, one result', async () => {
    const { convoId, groupId } = await createCraftedConversation(alice, []);
    const events = await rowsOf('events');
    const commit = craftCommit(groupId, 0).toString('base64');
    const request = { convoId, didList: [bob.did], commit, idempotencyKey: newUuid() };
    const results = await callConcurrently(alice, 'addMembers', request);
    expect(results).toEqual(Array.from({ length: duplicates }, () => ({ success: true, newEpoch: 1 })));
    expect((await rowsOf('events')) - events).toBe(2);
  });

  test('removeMember without a commit: one removal, one result', async () => {
    const { convoId } = await createCraftedConversation(alice, [bob]);
    const events = await rowsOf('events');
    const request = { convoId, targetDid: bob.did, idempotencyKey: newUuid() };
    const results = await callConcurrently(alice, 'removeMember', request);
    expect(results).toEqual(Array.from({ length: duplicates }, () => ({ ok: true, epochHint: 0 })));
    expect((await rowsOf('events')) - events).toBe(1);
  });
});

describe('sixteen concurrent duplicates that only the key identifies', () => {
  test('createInvite: one invite', async () => {
    const { convoId } = await createCraftedConversation(alice, []);
    const request = { convoId, pskHash: newSecret(32).toString('hex'), idempotencyKey: newUuid() };
    const results = await callConcurrently(alice, 'createInvite', request);
    expect(new Set(results.map(({ inviteId }) => inviteId)).size).toBe(1);
    for (const result of results) expect(result).toEqual(results[0]);
    expect((await alice.call('listInvites', { convoId })).invites).toHaveLength(1);
    const refusal = await alice.refusal('createInvite', { ...request, maxUses: 2 });
    expect(refusal.error).toBe('IdempotencyKeyReused');
  });

  test('reportMember and warnMember: one report, one warning', async () => {
    const { convoId } = await createCraftedConversation(alice, [bob]);
    const report = { convoId, reportedDid: bob.did, category: 'spam', encryptedContent: Buffer.from('sealed') };
    const reports = await callConcurrently(alice, 'reportMember', { ...report, idempotencyKey: newUuid() });
    expect(new Set(reports.map(({ reportId }) => reportId)).size).toBe(1);
    expect((await alice.call('getReports', { convoId })).reports).toHaveLength(1);
    const events = await rowsOf('events');
    const warning = { convoId, memberDid: bob.did, reason: 'Too loud.', idempotencyKey: newUuid() };
    const warnings = await callConcurrently(alice, 'warnMember', warning);
    expect(new Set(warnings.map(({ warningId }) => warningId)).size).toBe(1);
    expect((await rowsOf('events')) - events).toBe(1);
  });
});

describe('a repeated call', () => {
  test('gets the first result, whatever has happened since', async () => {
    const request = newConversation(newUuid(), [bob]);
    const first = await alice.call('createConvo', request);
    const convoId = request.groupId;
    const add = { convoId, didList: [bob.did], commit: craftCommit(Buffer.from(convoId, 'hex'), 0).toString('base64') };
    const added = { ...add, idempotencyKey: newUuid() };
    expect(await alice.call('addMembers', added)).toMatchObject({ newEpoch: 1 });
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    await alice.call('leaveConvo', { convoId });
    expect(await alice.call('createConvo', request)).toEqual(first);
    expect(await alice.call('addMembers', added)).toMatchObject({ newEpoch: 1 });
    expect((await alice.refusal('addMembers', add)).error).toBe('NotMember');
  });

  test('does not add a person again who was removed in between', async () => {
    const { convoId } = await createCraftedConversation(alice, []);
    const request = { convoId, didList: [bob.did], idempotencyKey: newUuid() };
    await alice.call('addMembers', request);
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    await alice.call('addMembers', request);
    expect((await bob.refusal('getEpoch', { convoId })).error).toBe('NotMember');
  });

  test('gets the first result for 24 hours and not longer', async () => {
    const { convoId } = await createCraftedConversation(alice, []);
    const request = { convoId, didList: [bob.did], idempotencyKey: newUuid() };
    await alice.call('addMembers', request);
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    const [times] = await bed.database.sql<{ least: number; most: number }[]>`
      SELECT extract(epoch FROM min(expires_at) - now())::float8 / 3600 AS least,
             extract(epoch FROM max(expires_at) - now())::float8 / 3600 AS most FROM idempotency_keys`;
    expect(times?.least).toBeGreaterThan(23.9);
    expect(times?.most).toBeLessThan(24.1);
    await bed.database.sql`UPDATE idempotency_keys SET expires_at = expires_at - interval '24 hours 1 minute'`;
    await alice.call('addMembers', request);
    expect(await bob.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: 0 });
  });

  test('that failed runs again', async () => {
    const { convoId, groupId } = await createCraftedConversation(alice, []);
    const commit = craftCommit(groupId, 0).toString('base64');
    const request = { convoId, didList: [bob.did], commit, idempotencyKey: newUuid() };
    const keys = await rowsOf('idempotency_keys');
    expect((await bob.refusal('addMembers', request)).error).toBe('ConvoNotFound');
    expect(await rowsOf('idempotency_keys')).toBe(keys);
    await alice.call('addMembers', { ...request, commit: undefined });
    expect(await bob.call('addMembers', request)).toMatchObject({ newEpoch: 1 });
  });
});

describe('a key', () => {
  test('with another input is refused without any effect', async () => {
    const { convoId } = await createCraftedConversation(alice, []);
    const idempotencyKey = newUuid();
    await alice.call('addMembers', { convoId, didList: [bob.did], idempotencyKey });
    const other = bed.client();
    const refusal = await alice.refusal('addMembers', { convoId, didList: [other.did], idempotencyKey });
    expect([refusal.status, refusal.error]).toEqual([409, 'IdempotencyKeyReused']);
    expect((await other.refusal('getEpoch', { convoId })).error).toBe('ConvoNotFound');
    const request = newConversation(newUuid());
    await alice.call('createConvo', request);
    const groupId = newSecret(16).toString('hex');
    expect((await alice.refusal('createConvo', { ...request, groupId })).error).toBe('IdempotencyKeyReused');
    const removal = { convoId, targetDid: bob.did, idempotencyKey: newUuid() };
    await alice.call('removeMember', removal);
    expect((await alice.refusal('removeMember', { ...removal, targetDid: other.did })).error).toBe(
      'IdempotencyKeyReused',
    );
  });

  test('of one caller or method has no effect for another', async () => {
    const idempotencyKey = newUuid();
    const [ofAlice, ofBob] = [newConversation(idempotencyKey), newConversation(idempotencyKey)];
    await alice.call('createConvo', ofAlice);
    expect(await bob.call('createConvo', ofBob)).toMatchObject({ groupId: ofBob.groupId, creator: bob.did });
    // A caller with another person's key and input does not get that person's result.
    expect((await bob.refusal('createConvo', { ...ofAlice, idempotencyKey: newUuid() })).error).toBe(
      'ConvoAlreadyExists',
    );
    const add = { convoId: ofAlice.groupId, didList: [bob.did], idempotencyKey };
    expect(await alice.call('addMembers', add)).toEqual({ success: true, newEpoch: 0 });
  });

  test('stores nothing in clear, and is deleted when it has expired', async () => {
    const idempotencyKey = `key-${newUuid()}`;
    await alice.call('createConvo', newConversation(idempotencyKey, [bob]));
    const scanner = createLeakScanner([idempotencyKey, alice.did, bob.did]);
    const dump = await dumpTables(bed.database.sql);
    expect([...dump.keys()].some((table) => table.includes('idempotency_keys'))).toBe(true);
    expect([...dump].flatMap(([table, bytes]) => scanner.scan(table, bytes))).toEqual([]);
    await runJob(bed.database, 'clean-idempotency-keys');
    await bed.database.sql`UPDATE idempotency_keys SET expires_at = now() WHERE digest IN
      (SELECT digest FROM idempotency_keys LIMIT 1)`;
    const before = await rowsOf('idempotency_keys');
    await runJob(bed.database, 'clean-idempotency-keys');
    expect(await rowsOf('idempotency_keys')).toBe(before - 1);
  });
});

describe('key packages', () => {
  const expires = new Date(Date.now() + 86_400_000).toISOString();

  async function newItem(client: XrpcClient): Promise<RequestOf<'publishKeyPackage'>> {
    const device = await MlsDevice.create(client.did, craftedSuite);
    const { bytes } = await device.createKeyPackage();
    const keyPackage = Buffer.from(bytes).toString('base64');
    return { keyPackage, cipherSuite: craftedSuite, expires, idempotencyKey: newUuid() };
  }

  test('publishing a package again after it was handed out succeeds with its key, and is refused without', async () => {
    const owner = bed.client();
    const item = await newItem(owner);
    await owner.call('publishKeyPackage', item);
    expect((await alice.call('getKeyPackages', { dids: [owner.did] })).keyPackages).toHaveLength(1);
    await owner.call('publishKeyPackage', item);
    const { idempotencyKey: _key, ...withoutKey } = item;
    expect((await owner.refusal('publishKeyPackage', withoutKey)).error).toBe('InvalidKeyPackage');
    const other = { ...(await newItem(owner)), idempotencyKey: item.idempotencyKey };
    expect((await owner.refusal('publishKeyPackage', other)).error).toBe('IdempotencyKeyReused');
  });

  test('each item of a batch has its own key', async () => {
    const owner = bed.client();
    const [first, second, third] = [await newItem(owner), await newItem(owner), await newItem(owner)];
    const item = (request: RequestOf<'publishKeyPackage'>): RequestOf<'publishKeyPackages'>['keyPackages'][number] => ({
      ...request,
      expires,
    });
    const broken = { ...item(third), keyPackage: Buffer.from('no key package').toString('base64') };
    const batch = { keyPackages: [item(first), item(second), broken] };
    const result = { succeeded: 2, failed: 1, errors: [{ index: 2, error: 'InvalidKeyPackage' }] };
    const results = await callConcurrently(owner, 'publishKeyPackages', batch);
    expect(results[0]).toMatchObject(result);
    expect(results).toEqual(Array.from({ length: duplicates }, () => results[0]));
    await alice.call('getKeyPackages', { dids: [owner.did] });
    const secondBatch = {
      keyPackages: [item(second), item(third), { ...item(third), idempotencyKey: first.idempotencyKey }],
    };
    expect(await owner.call('publishKeyPackages', secondBatch)).toMatchObject({
      succeeded: 2,
      failed: 1,
      errors: [{ index: 2, error: 'IdempotencyKeyReused' }],
    });
  });
});
