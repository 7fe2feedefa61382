import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyPackageOwner } from '#domain/key-packages/key-package.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import type { EventStream } from '../support/clients/event-stream.ts';
import { createLeakScanner } from '../support/privacy/leak-scanner.ts';
import { publishTestPackage, registerTestDevice } from '../support/clients/register-device.ts';
import { runJob } from '../support/processes/run-job.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed?.stop());

/** Longer than the servers wait before they check the key packages. */
const checkMs = 800;

const lowEvents = (stream: EventStream): unknown[] =>
  stream.events.flatMap((event) =>
    event.$type === 'blue.catbird.mls.subscribeConvoEvents#infoEvent' && event.code === 'keyPackagesLow'
      ? [{ deviceId: event.deviceId, available: event.available }]
      : [],
  );

const claimOne = (owner: XrpcClient, server = 0): Promise<unknown> =>
  bed.client({ server }).call('getKeyPackages', { dids: [owner.did] });

/** Deletes packages as if they had expired or been used long ago, except `count`. */
async function keepPackages(owner: XrpcClient, count: number): Promise<void> {
  const pseudonym = keyPackageOwner(createPrivacy(parseKeyRing(bed.identityKey)), owner.did);
  await bed.database.sql`
    DELETE FROM key_packages WHERE owner = ${pseudonym}
      AND ref NOT IN (SELECT ref FROM key_packages WHERE owner = ${pseudonym} ORDER BY ref LIMIT ${count})`;
}

test('each connection of an owner gets one event for each of their devices with few packages; no one else does', async () => {
  const [low, enough, other] = [bed.client(), bed.client(), bed.client()];
  const phone = await registerTestDevice(low, { packages: 2 });
  await registerTestDevice(low, { name: 'laptop', packages: 5 });
  await registerTestDevice(enough, { packages: 5 });
  const streams = await Promise.all([low, low, enough, other].map((client) => openEventStream(client)));
  await sleep(checkMs);
  await runJob(bed.database, 'watch-key-packages');
  await sleep(checkMs);
  const expected = [{ deviceId: phone.deviceId, available: 2 }];
  expect(streams.map(lowEvents)).toEqual([expected, expected, [], []]);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('a claim that leaves too few packages causes an event within 5 s on another server, and again after new packages and claims', async () => {
  const owner = bed.client({ server: 1 });
  const device = await registerTestDevice(owner, { packages: 6 });
  const stream = await openEventStream(owner);
  await sleep(checkMs);
  await claimOne(owner);
  await sleep(checkMs);
  expect(lowEvents(stream)).toEqual([]);
  await claimOne(owner);
  const startedMs = performance.now();
  const event = await stream.next('infoEvent', ({ code }) => code === 'keyPackagesLow');
  expect(event).toMatchObject({ deviceId: device.deviceId, available: 4 });
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  await claimOne(owner);
  await sleep(checkMs);
  expect(lowEvents(stream)).toHaveLength(1);

  for (let count = 0; count < 2; count++) await publishTestPackage(owner, device);
  await runJob(bed.database, 'watch-key-packages');
  await sleep(checkMs);
  await claimOne(owner);
  await stream.next('infoEvent', ({ available }) => available === 4);
  expect(lowEvents(stream)).toHaveLength(2);
  await stream.close();
});

test("the worker's notification makes every server check; a flagged device is skipped", async () => {
  const owners = [bed.client({ server: 0 }), bed.client({ server: 1 })];
  const devices = await Promise.all(owners.map((owner) => registerTestDevice(owner, { packages: 5 })));
  const inactive = bed.client();
  const { deviceId } = await registerTestDevice(inactive, { packages: 1 });
  await bed.database.sql`UPDATE devices SET inactive_since = now() WHERE device_id = ${deviceId}`;
  const streams = await Promise.all([...owners, inactive].map((owner) => openEventStream(owner)));
  await sleep(checkMs);
  for (const owner of owners) await keepPackages(owner, 1);
  await sleep(checkMs);
  expect(streams.flatMap(lowEvents)).toEqual([]);
  await runJob(bed.database, 'watch-key-packages');
  for (const stream of streams.slice(0, 2)) await stream.next('infoEvent', ({ available }) => available === 1);
  expect(streams.map(lowEvents)).toEqual([...devices.map((each) => [{ deviceId: each.deviceId, available: 1 }]), []]);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('the event after a reconnect has a cursor from which no event is missed', async () => {
  const owner = bed.client();
  await registerTestDevice(owner, { packages: 1 });
  const first = await openEventStream(owner);
  await first.next('infoEvent');
  const { cursor } = first;
  await first.close();
  const { convoId } = await createCraftedConversation(bed.client(), [owner]);
  const second = await openEventStream(owner, { cursor });
  await second.next('membershipChangeEvent', (event) => event.convoId === convoId);
  await second.close();
});

test('the notifications between workers and servers for this contain no DID or device id', async () => {
  const notifications: { channel: string; payload: string }[] = [];
  for (const channel of ['nightjar', 'nightjar_stock']) {
    await bed.database.sql.listen(channel, (payload) => void notifications.push({ channel, payload }));
  }
  const owner = bed.client();
  const device = await registerTestDevice(owner, { packages: 5 });
  const stream = await openEventStream(owner);
  await claimOne(owner, 1);
  await stream.next('infoEvent', ({ code }) => code === 'keyPackagesLow');
  await runJob(bed.database, 'watch-key-packages');
  await expect
    .poll(() => notifications.filter(({ channel }) => channel === 'nightjar_stock'))
    .toEqual([{ channel: 'nightjar_stock', payload: '' }]);
  // The claim, which a server sends to the other servers.
  await expect.poll(() => notifications.some(({ payload }) => payload.split(' ').length > 4)).toBe(true);
  const scanner = createLeakScanner([owner.did, device.deviceId]);
  const texts = [
    ...notifications.flatMap(({ payload }) => [payload, decoded(payload)]),
    ...bed.servers.flatMap(({ logLines }) => logLines),
  ];
  expect(texts.flatMap((text) => scanner.scan('a notification or a log line', Buffer.from(text, 'latin1')))).toEqual(
    [],
  );
  await stream.close();
});

/** Notifications between servers are sealed and in base64. */
function decoded(payload: string): string {
  return Buffer.from(payload.split(' ').at(-1) ?? '', 'base64').toString('latin1');
}
