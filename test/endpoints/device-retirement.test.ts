import { afterAll, beforeAll, expect, test } from 'vitest';
import { storedRef } from '#domain/key-packages/key-package.ts';
import { limits } from '#platform/limits.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { publishTestPackage, registerTestDevice } from '../support/clients/register-device.ts';
import type { RegisteredDevice } from '../support/clients/register-device.ts';
import { runJob } from '../support/processes/run-job.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed?.stop());

interface SeenRow {
  readonly lastSeenAt: Date;
  readonly inactiveSince: Date | null;
  /** Changes with every write of the row. */
  readonly version: string;
}

async function rowOf({ deviceId }: RegisteredDevice): Promise<SeenRow | undefined> {
  const [row] = await bed.database.sql<SeenRow[]>`
    SELECT last_seen_at AS "lastSeenAt", inactive_since AS "inactiveSince", ctid::text AS version
    FROM devices WHERE device_id = ${deviceId}`;
  return row;
}

/** Moves the device's times `days` days into the past. */
async function age({ deviceId }: RegisteredDevice, days: number): Promise<void> {
  await bed.database.sql`
    UPDATE devices SET last_seen_at = last_seen_at - make_interval(days => ${days}),
      registered_at = registered_at - make_interval(days => ${days}),
      inactive_since = inactive_since - make_interval(days => ${days})
    WHERE device_id = ${deviceId}`;
}

const retire = (): Promise<number> => runJob(bed.database, 'retire-devices');
/** The pseudonym of a package's row. */
const storedRefOf = (ref: string): Buffer =>
  storedRef(createPrivacy(parseKeyRing(bed.identityKey)), Buffer.from(ref, 'hex'));
const packagesLeft = async ({ refs }: RegisteredDevice): Promise<number> =>
  (
    await bed.database.sql`
      SELECT 1 FROM key_packages WHERE ref IN ${bed.database.sql(refs.map(storedRefOf))}`
  ).length;
const today = (): Date => new Date(new Date().setUTCHours(0, 0, 0, 0));

type Use = (client: XrpcClient, device: RegisteredDevice) => Promise<unknown>;

/** Every call that marks a device as seen. */
const uses: Readonly<Record<string, Use>> = {
  getKeyPackageStats: (client, { deviceId }) => client.call('getKeyPackageStats', { deviceId }),
  getKeyPackageStatus: (client, { deviceId }) => client.call('getKeyPackageStatus', { deviceId }),
  getKeyPackageHistory: (client, { deviceId }) => client.call('getKeyPackageHistory', { deviceId }),
  syncKeyPackages: (client, { deviceId, refs }) => client.call('syncKeyPackages', { deviceId, localHashes: [...refs] }),
  registerDeviceToken: (client, { deviceId }) =>
    client.call('registerDeviceToken', { deviceId, pushToken: 'abcdef', platform: 'ios' }),
  unregisterDeviceToken: (client, { deviceId }) => client.call('unregisterDeviceToken', { deviceId }),
  'publishKeyPackages with the device': (client, device) => publishTestPackage(client, device),
  'publishKeyPackages without it, as older clients do': (client, device) =>
    publishTestPackage(client, { device: device.device }),
  registerDevice: (client, { device }) => registerTestDevice(client, { device }),
};

test.each(Object.entries(uses))('%s marks the device as seen today, with one write a day', async (_name, use) => {
  const client = bed.client();
  const device = await registerTestDevice(client);
  const another = await registerTestDevice(client, { name: 'tablet' });
  expect((await rowOf(device))?.lastSeenAt).toEqual(today());
  for (const each of [device, another]) await age(each, 100);
  await retire();
  expect((await rowOf(device))?.inactiveSince).toEqual(today());
  await use(client, device);
  const seen = await rowOf(device);
  expect(seen).toMatchObject({ lastSeenAt: today(), inactiveSince: null });
  expect((await rowOf(another))?.inactiveSince).toEqual(today());
  const writesEachTime = ['registerDevice', 'registerDeviceToken', 'unregisterDeviceToken'].includes(_name);
  await use(client, device);
  if (!writesEachTime) expect((await rowOf(device))?.version).toBe(seen?.version);
});

test('a device is flagged after 90 days, deleted 90 days later with its available key packages, and other devices stay', async () => {
  const client = bed.client();
  const device = await registerTestDevice(client);
  const activeDevice = await registerTestDevice(client, { name: 'tablet' });
  await client.call('registerDeviceToken', { deviceId: device.deviceId, pushToken: 'abcdef', platform: 'ios' });
  const { keyPackages } = await bed.client().call('getKeyPackages', { dids: [client.did] });
  expect(keyPackages).toHaveLength(2);

  await age(device, 90);
  await retire();
  expect((await rowOf(device))?.inactiveSince).toBeNull();
  await age(device, 1);
  await retire();
  expect((await rowOf(device))?.inactiveSince).toEqual(today());
  expect((await client.call('listDevices', {})).devices).toHaveLength(2);

  await age(device, 89);
  expect(await retire()).toBe(0);
  expect(await packagesLeft(device)).toBe(2);
  await age(device, 1);
  // Deletes the device and its available package; the other package may be in a Welcome that is not sent yet.
  expect(await retire()).toBe(2);
  expect(await retire()).toBe(0);
  expect([await rowOf(device), await packagesLeft(device), await packagesLeft(activeDevice)]).toEqual([
    undefined,
    1,
    2,
  ]);
  expect((await client.call('listDevices', {})).devices.map(({ deviceId }) => deviceId)).toEqual([
    activeDevice.deviceId,
  ]);
});

test('a retired device is unknown, can be registered again, and no longer counts towards the limit', async () => {
  const client = bed.client();
  const first = await registerTestDevice(client, { uuid: 'b3c8f6de-9a30-4ff0-8c25-3b7e7a0e4a01' });
  for (let count = 1; count < limits.devicesPerAccountMax; count++) await registerTestDevice(client, { packages: 1 });
  await expect(registerTestDevice(client)).rejects.toMatchObject({ error: 'TooManyDevices' });
  await age(first, 100);
  await retire();
  await age(first, 100);
  await retire();
  const { deviceId } = first;
  expect((await client.refusal('syncKeyPackages', { deviceId, localHashes: [] })).error).toBe('DeviceNotFound');
  expect((await client.refusal('getKeyPackageStats', { deviceId })).error).toBe('DeviceNotFound');
  expect((await client.refusal('deleteDevice', { deviceId })).error).toBe('DeviceNotFound');
  const again = await registerTestDevice(client, {
    device: first.device,
    uuid: 'b3c8f6de-9a30-4ff0-8c25-3b7e7a0e4a01',
  });
  expect(again.deviceId).not.toBe(deviceId);
  expect((await client.call('getKeyPackageStats', { deviceId: again.deviceId })).available).toBe(2);
  const { keyPackages } = await bed.client().call('getKeyPackages', { dids: [client.did] });
  expect(keyPackages).toHaveLength(limits.devicesPerAccountMax);
});

// Safe because of the row lock: the job checks a row again after locking it, and skips rows that are locked.
test('a device that is seen while the job runs is not deleted', async () => {
  const client = bed.client();
  const device = await registerTestDevice(client);
  await age(device, 100);
  await retire();
  await age(device, 100);
  const locker = await bed.database.sql.reserve();
  await locker`BEGIN`;
  await locker`UPDATE devices SET last_seen_at = now(), inactive_since = NULL WHERE device_id = ${device.deviceId}`;
  expect(await retire()).toBe(0);
  await locker`COMMIT`;
  locker.release();
  expect(await retire()).toBe(0);
  expect([(await rowOf(device))?.inactiveSince, await packagesLeft(device)]).toEqual([null, 2]);
});
