import { afterAll, beforeAll, expect, test } from 'vitest';
import { storedRequestId } from '#domain/chat-requests/chat-request.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createCraftedConversation, craftedSuite } from '../support/mls/crafted-conversation.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { runJob } from '../support/processes/run-job.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

const env = {
  KEY_PACKAGE_TTL_DAYS: '10',
  DEVICE_WAIT_DAYS: '2',
  CHAT_REQUEST_TTL_DAYS: '3',
  CHAT_MESSAGE_TTL_HOURS: '5',
  IDEMPOTENCY_TTL_HOURS: '1',
};

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ env })));
afterAll(() => bed?.stop());

async function hoursBetween(table: string, from: string, to: string): Promise<number> {
  const [row] = await bed.database.sql.unsafe<{ hours: number }[]>(
    `SELECT round(extract(epoch FROM max(${to}) - max(${from})) / 3600)::integer AS hours FROM ${table}`,
  );
  return row?.hours ?? 0;
}

test('KEY_PACKAGE_TTL_DAYS limits how long a package is stored, not its own lifetime', async () => {
  const client = bed.client();
  const device = await registerTestDevice(client);
  const notAfter = BigInt(Math.floor(Date.now() / 1_000) + 40 * 86_400);
  const published = await device.device.createKeyPackage({ lifetime: { notBefore: 0n, notAfter } });
  const expires = new Date(Date.now() + 40 * 86_400_000).toISOString() as `${string}Z`;
  await client.call('publishKeyPackage', {
    keyPackage: Buffer.from(published.bytes).toString('base64'),
    cipherSuite: craftedSuite,
    expires,
  });
  expect(await hoursBetween('key_packages', 'published_at', 'kept_until')).toBe(10 * 24);
  expect(await hoursBetween('key_packages', 'published_at', 'expires_at')).toBe(40 * 24);
});

test('DEVICE_WAIT_DAYS ends the waiting of a new device, in responses and in the database', async () => {
  const [alice, bob] = [bed.client(), bed.client()];
  await createCraftedConversation(alice, [bob]);
  const { deviceId } = await registerTestDevice(bob);
  const waiting = async (): Promise<number> =>
    (await alice.call('getPendingDeviceAdditions', { limit: 10 })).pendingAdditions.length;
  const age = (hours: number): Promise<unknown> =>
    bed.database
      .sql`UPDATE devices SET waiting_since = now() - make_interval(hours => ${hours}) WHERE device_id = ${deviceId}`;
  await age(47);
  expect([await waiting(), await runJob(bed.database, 'clean-device-additions', env)]).toEqual([1, 0]);
  await age(49);
  expect([await waiting(), await runJob(bed.database, 'clean-device-additions', env)]).toEqual([0, 1]);
});

test('CHAT_REQUEST_TTL_DAYS counts from the end of a request, CHAT_MESSAGE_TTL_HOURS from its acceptance', async () => {
  const [alice, bob] = [bed.client(), bed.client()];
  const heldMessages = [{ ciphertext: newSecret(512), ephemeralPubKey: newSecret(32), paddedSize: 512 }];
  const { requestId } = await alice.call('sendChatRequest', { recipientDid: bob.did, heldMessages });
  expect(await hoursBetween('chat_requests', 'expires_at', 'kept_until')).toBe(3 * 24);
  await bob.call('acceptChatRequest', { requestId });
  const age = (hours: number): Promise<unknown> =>
    bed.database
      .sql`UPDATE chat_requests SET answered_at = now() - make_interval(hours => ${hours}) WHERE request_id = ${storedRequestId(createPrivacy(parseKeyRing(bed.identityKey)), requestId)}`;
  await age(4);
  expect(await runJob(bed.database, 'clean-chat-requests', env)).toBe(0);
  await age(6);
  expect(await runJob(bed.database, 'clean-chat-requests', env)).toBe(1);
});

test('IDEMPOTENCY_TTL_HOURS sets how long a result is stored', async () => {
  const alice = bed.client();
  const groupId = newSecret(16).toString('hex');
  await alice.call('createConvo', {
    groupId,
    cipherSuite: craftedSuite,
    initialMembers: [],
    idempotencyKey: newUuid(),
  });
  const [row] = await bed.database.sql<{ minutes: number }[]>`
    SELECT extract(epoch FROM expires_at - now()) / 60 AS minutes FROM idempotency_keys`;
  expect(Number(row?.minutes)).toBeGreaterThan(58);
  expect(Number(row?.minutes)).toBeLessThan(62);
});
