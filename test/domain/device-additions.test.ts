import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimAddition } from '#domain/device-additions/claim-addition.ts';
import { listPendingAdditions } from '#domain/device-additions/list-pending-additions.ts';
import type { PendingAddition } from '#domain/device-additions/device-addition.ts';
import { readMissedAdditions } from '#domain/device-additions/read-pending-additions.ts';
import { registerDevice } from '#domain/devices/register-device.ts';
import { limits } from '#platform/limits.ts';
import { randomPeople, startDomainHarness, testSuite } from '../support/domain-harness.ts';
import type { DomainHarness } from '../support/domain-harness.ts';
import { MlsDevice } from '../support/mls/mls-device.ts';
import { runJob } from '../support/processes/run-job.ts';

let harness: DomainHarness;
beforeAll(async () => void (harness = await startDomainHarness()));
afterAll(() => harness.close());

async function register(did: string): Promise<string> {
  const device = await MlsDevice.create(did, testSuite);
  const { bytes } = await device.createKeyPackage();
  const { deviceId } = await registerDevice(
    harness.server,
    { did },
    {
      name: 'phone',
      uuid: undefined,
      signatureKey: Buffer.from(device.signaturePublicKey),
      keyPackages: [{ bytes: Buffer.from(bytes), cipherSuite: testSuite, expiresAtMs: undefined }],
    },
  );
  return deviceId;
}

const pending = (did: string): Promise<PendingAddition[]> =>
  listPendingAdditions(harness.server, { did }, { conversationIds: undefined, limit: 100 });

async function age(deviceId: string, days: number): Promise<void> {
  await harness.database.db
    .updateTable('devices')
    .set({ waiting_since: sql<Date>`now() - make_interval(days => ${days}::integer)` })
    .where('device_id', '=', deviceId)
    .execute();
}

test('a device waits for 30 days; then it is not listed, and the clean-up deletes its waiting list and the claims on it', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  await harness.createConversation([alice, bob]);
  const old = await register(alice);
  const young = await register(alice);
  const ofOld = (await pending(bob)).find(({ deviceId }) => deviceId === old);
  expect((await claimAddition(harness.server, { did: bob }, ofOld?.id ?? '')).kind).toBe('claimed');
  await age(young, harness.server.deviceWaitDays - 1);
  await age(old, harness.server.deviceWaitDays);
  expect((await pending(bob)).map(({ deviceId }) => deviceId)).toEqual([young]);
  expect(await claimAddition(harness.server, { did: bob }, ofOld?.id ?? '')).toEqual({ kind: 'unknown' });

  expect(await runJob(harness.database, 'clean-device-additions')).toBe(1);
  const rows = await harness.database.db.selectFrom('devices').selectAll().execute();
  expect(rows.map((row) => [row.device_id, row.sealed_waiting === null, row.waiting_since === null])).toEqual(
    expect.arrayContaining([
      [old, true, true],
      [young, false, false],
    ]),
  );
  const countClaims = async (): Promise<number> =>
    (await harness.database.db.selectFrom('device_additions').selectAll().execute()).length;
  expect(await countClaims()).toBe(1);
  await harness.database.sql`UPDATE device_additions SET expires_on = now() - interval '1 second'`;
  expect(await runJob(harness.database, 'clean-device-additions')).toBe(1);
  expect(await countClaims()).toBe(0);
  expect(await runJob(harness.database, 'clean-device-additions')).toBe(0);
  expect((await pending(bob)).map(({ deviceId }) => deviceId)).toEqual([young]);
});

test('the list ends at its limit, and covers only the named conversations', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const conversations = await Promise.all(Array.from({ length: 5 }, () => harness.createConversation([alice, bob])));
  await register(alice);
  const list = (conversationIds: string[] | undefined, limit: number): Promise<PendingAddition[]> =>
    listPendingAdditions(harness.server, { did: bob }, { conversationIds, limit });
  expect((await list(undefined, 100)).length).toBe(5);
  expect((await list(undefined, 3)).length).toBe(3);
  const [named] = conversations;
  const found = await list([named?.id.toUpperCase() ?? '', 'ff'], 100);
  expect(found.map(({ groupId }) => groupId)).toEqual([named?.groupId]);
});

test('a returning subscriber gets the devices added since, of the named conversations only, or the note that there are too many', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const [first, second] = [
    await harness.createConversation([alice, bob]),
    await harness.createConversation([alice, bob]),
  ];
  const deviceId = await register(alice);
  const { clock } = harness.server;
  const missed = await readMissedAdditions(harness.server, new Set([first.id]), clock.nowMs());
  expect(missed.isComplete).toBe(true);
  expect(missed.additions.map((addition) => [addition.deviceId, addition.groupId])).toEqual([
    [deviceId, first.groupId],
  ]);
  expect(missed.additions[0]?.groupId.equals(second.groupId)).toBe(false);
  const later = await readMissedAdditions(harness.server, new Set([first.id]), clock.nowMs() + 120_000);
  expect(later).toEqual({ additions: [], isComplete: true });
  await harness.database.sql`
    INSERT INTO devices (device_id, owner, key_id, tag, sealed_device, registered_at, last_seen_at, sealed_did, sealed_waiting, waiting_since)
    SELECT gen_random_uuid(), owner, key_id, decode(md5(n::text), 'hex'), sealed_device, registered_at, last_seen_at, sealed_did,
           sealed_waiting, waiting_since
    FROM devices, generate_series(1, ${limits.devicesPerCatchUpMax}) n WHERE device_id = ${deviceId}`;
  expect(await readMissedAdditions(harness.server, new Set([first.id]), clock.nowMs())).toEqual({
    additions: [],
    isComplete: false,
  });
  // With many waiting devices the list is made from the rosters; the inserted devices belong to no member.
  await harness.database
    .sql`UPDATE devices SET owner = decode(md5(device_id::text), 'hex') WHERE device_id <> ${deviceId}`;
  const listed = await pending(bob);
  expect(listed.map((addition) => addition.deviceId)).toEqual([deviceId, deviceId]);
  expect(listed).toEqual(expect.arrayContaining(missed.additions));
});
