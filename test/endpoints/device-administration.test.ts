import { createHash } from 'node:crypto';
import { encodeKeyPackage } from 'ts-mls/keyPackage.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newSecret } from '#platform/ids.ts';
import { craftedSuite, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftWelcome } from '../support/mls/crafted-mls.ts';
import { publishTestPackage, registerTestDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

const unknownId = '0f9c1c2a-7b61-4f5e-8a44-2f6d6a1c9e10';

/** `fetcher` fetches one package of each of `owner`'s devices. @returns their references in hex. */
async function fetchPackages(fetcher: XrpcClient, owner: XrpcClient): Promise<string[]> {
  const { keyPackages } = await fetcher.call('getKeyPackages', { dids: [owner.did] });
  return keyPackages.flatMap(({ keyPackageHash }) => (keyPackageHash === undefined ? [] : [keyPackageHash]));
}

/** Creates a conversation of the two with a Welcome for these packages. @returns its id. */
async function welcome(creator: XrpcClient, joiner: XrpcClient, refs: readonly string[]): Promise<string> {
  const groupId = newSecret(16).toString('hex');
  await creator.call('createConvo', {
    groupId,
    cipherSuite: craftedSuite,
    initialMembers: [joiner.did],
    welcomeMessage: craftWelcome(refs.map((ref) => Buffer.from(ref, 'hex'))).toString('base64'),
  });
  return groupId;
}

test('a push token is stored sealed, can be changed and removed, and no method returns it', async () => {
  const client = bed.client();
  const { deviceId } = await registerTestDevice(client);
  const pushToken = newSecret(32).toString('hex');
  const readStored = async (): Promise<Buffer | null | undefined> =>
    (
      await bed.database.db
        .selectFrom('devices')
        .select('sealed_push_token as token')
        .where('device_id', '=', deviceId)
        .executeTakeFirst()
    )?.token;
  const request = { deviceId, pushToken, platform: 'ios', deviceName: 'renamed' };
  expect(await client.call('registerDeviceToken', request)).toEqual({ success: true });
  const stored = await readStored();
  expect(stored?.length).toBeGreaterThan(64);
  expect(stored?.includes(Buffer.from(pushToken))).toBe(false);
  expect(stored?.includes(Buffer.from(pushToken, 'hex'))).toBe(false);
  const listed = await client.raw('listDevices');
  expect(listed.text).toContain('renamed');
  expect(listed.text).not.toContain(pushToken);
  await client.call('registerDeviceToken', { ...request, pushToken: 'another' });
  expect(await readStored()).not.toEqual(stored);
  await client.call('registerDeviceToken', { deviceId, pushToken: 'another', deviceName: 'x'.repeat(129) });
  expect((await client.call('listDevices', {})).devices[0]?.deviceName).toBe('renamed');
  expect(await client.call('unregisterDeviceToken', { deviceId })).toEqual({ success: true });
  expect(await client.call('unregisterDeviceToken', { deviceId })).toEqual({ success: true });
  expect(await readStored()).toBeNull();
});

test("every method treats another person's device as unknown, and does not change it", async () => {
  const [owner, other] = [bed.client(), bed.client()];
  const { deviceId, refs } = await registerTestDevice(owner);
  for (const id of [deviceId, unknownId, 'nonsense']) {
    const refusals = await Promise.all([
      other.refusal('registerDeviceToken', { deviceId: id, pushToken: 'x' }),
      other.refusal('unregisterDeviceToken', { deviceId: id }),
      other.refusal('syncKeyPackages', { deviceId: id, localHashes: [] }),
      other.refusal('getKeyPackageStatus', { deviceId: id }),
      other.refusal('getKeyPackageHistory', { deviceId: id }),
      other.refusal('validateDeviceState', { deviceId: id }),
    ]);
    expect(new Set(refusals.map(({ status, error }) => `${status} ${error}`))).toEqual(new Set(['404 DeviceNotFound']));
  }
  const stored = await owner.call('syncKeyPackages', { deviceId, localHashes: [...refs] });
  expect(stored).toMatchObject({ deletedCount: 0, remainingAvailable: refs.length });
});

test('a sync withdraws only available packages that the device lost, not those handed out or of other devices', async () => {
  const [owner, fetcher] = [bed.client(), bed.client()];
  const phone = await registerTestDevice(owner, { packages: 5 });
  const laptop = await registerTestDevice(owner, { packages: 2 });
  const handedOut = (await fetchPackages(fetcher, owner)).find((ref) => phone.refs.includes(ref));
  const left = phone.refs.filter((ref) => ref !== handedOut);
  const [byRef = '', bySha = '', ...lost] = left;
  const { publicPackage } = phone.device.keyPackage(bySha) ?? expect.fail('the device created it');
  const shaOfBytes = createHash('sha256').update(encodeKeyPackage(publicPackage)).digest('hex');
  const response = await owner.call('syncKeyPackages', {
    deviceId: phone.deviceId,
    localHashes: [byRef.toUpperCase(), shaOfBytes, newSecret(32).toString('hex')],
  });
  expect(response).toMatchObject({
    orphanedCount: 2,
    deletedCount: 2,
    remainingAvailable: 2,
    deviceId: phone.deviceId,
  });
  expect([...response.serverHashes].sort()).toEqual([byRef, bySha].sort());
  expect([...(response.orphanedHashes ?? [])].sort()).toEqual([...lost].sort());
  // The fetcher may still use the package in a Welcome.
  await welcome(fetcher, owner, [handedOut ?? expect.fail('no package was handed out')]);
  const ofLaptop = await owner.call('getKeyPackageStats', { deviceId: laptop.deviceId });
  expect(ofLaptop.total).toBe(2);
});

test('withdrawing a last-resort package ends its waiting Welcomes, and those of no other device', async () => {
  const [owner, creator] = [bed.client(), bed.client()];
  const phone = await registerTestDevice(owner, { packages: 1 });
  const laptop = await registerTestDevice(owner, { packages: 1 });
  const first = await welcome(creator, owner, await fetchPackages(creator, owner));
  for (const device of [phone, laptop]) await publishTestPackage(owner, device, { lastResort: 'extension' });
  const second = await welcome(creator, owner, await fetchPackages(creator, owner));
  await owner.call('syncKeyPackages', { deviceId: phone.deviceId, localHashes: [] });
  const stateOf = async (convoId: string, deviceId: string): Promise<string> =>
    owner.call('getWelcome', { convoId, deviceId }).then(
      () => 'waits',
      () => 'absent',
    );
  expect(await stateOf(second, phone.deviceId)).toBe('absent');
  expect(await stateOf(second, laptop.deviceId)).toBe('waits');
  expect(await stateOf(first, phone.deviceId)).toBe('waits');
});

test('the pages of status and history show every package once, even when many have the same time', async () => {
  const [owner, creator] = [bed.client(), bed.client()];
  const phone = await registerTestDevice(owner, { packages: 7 });
  const laptop = await registerTestDevice(owner, { packages: 6 });
  const used: string[] = [];
  for (let round = 0; round < 4; round++) {
    const fetcher = bed.client();
    const refs = await fetchPackages(fetcher, owner);
    used.push(...refs);
    await welcome(fetcher, owner, refs);
  }
  const reserved = await fetchPackages(creator, owner);

  const seen: { packageId: string; consumedAt?: string | undefined; deviceId?: string | undefined }[] = [];
  let cursor: string | undefined;
  do {
    const page: ResponseOf<'getKeyPackageHistory'> = await owner.call('getKeyPackageHistory', { limit: 5, cursor });
    expect(page.history.length).toBeLessThanOrEqual(5);
    seen.push(...page.history);
    ({ cursor } = page);
    for (const entry of page.history) {
      expect(entry).not.toHaveProperty('consumedForConvo');
      expect(entry).not.toHaveProperty('consumedByDevice');
    }
  } while (cursor !== undefined);
  const all = [...phone.refs, ...laptop.refs];
  expect(seen.map(({ packageId }) => packageId).sort()).toEqual([...all].sort());
  expect(
    seen
      .filter(({ consumedAt }) => consumedAt !== undefined)
      .map(({ packageId }) => packageId)
      .sort(),
  ).toEqual([...used].sort());
  for (const { packageId, deviceId } of seen)
    expect(deviceId).toBe((phone.refs.includes(packageId) ? phone : laptop).deviceId);

  const consumed: string[] = [];
  do {
    const page: ResponseOf<'getKeyPackageStatus'> = await owner.call('getKeyPackageStatus', { limit: 3, cursor });
    expect(page).toMatchObject({ totalUploaded: 13, available: 3, consumed: 8, reserved: reserved.length });
    consumed.push(...(page.consumedPackages ?? []).map(({ keyPackageHash }) => keyPackageHash));
    for (const entry of page.consumedPackages ?? []) {
      expect(Date.parse(entry.consumedAt) % 86_400_000).toBe(0);
      expect(entry).not.toHaveProperty('usedInGroup');
    }
    ({ cursor } = page);
  } while (cursor !== undefined);
  expect(consumed.sort()).toEqual([...used].sort());
  expect(await owner.call('getKeyPackageStatus', { deviceId: laptop.deviceId })).toMatchObject({
    totalUploaded: 6,
    consumed: 4,
  });
});

test('a cursor is valid only for its list and its owner, and callers see only their own packages', async () => {
  const [owner, other] = [bed.client(), bed.client()];
  await registerTestDevice(owner, { packages: 3 });
  const { cursor } = await owner.call('getKeyPackageHistory', { limit: 1 });
  expect(cursor).toBeDefined();
  const refusals = await Promise.all([
    other.refusal('getKeyPackageHistory', { cursor }),
    owner.refusal('getKeyPackageStatus', { cursor }),
    owner.refusal('getKeyPackageHistory', { cursor: 'nonsense' }),
  ]);
  expect(refusals.map(({ status, error }) => [status, error])).toEqual(refusals.map(() => [400, 'InvalidCursor']));
  expect(await other.call('getKeyPackageHistory', {})).toEqual({ history: [] });
  expect(await other.call('getKeyPackageStatus', {})).toEqual({
    totalUploaded: 0,
    available: 0,
    consumed: 0,
    reserved: 0,
    consumedPackages: [],
  });
});

test('the state of a device counts its packages and the conversations that it waits for', async () => {
  const [owner, other] = [bed.client(), bed.client()];
  const first = await registerTestDevice(owner, { packages: 10 });
  await createCraftedConversation(owner, [other]);
  expect(await owner.call('validateDeviceState', { deviceId: first.deviceId })).toEqual({
    isValid: true,
    issues: [],
    recommendations: [],
    expectedConvos: 1,
    actualConvos: 1,
    keyPackageInventory: { available: 10, target: 10, needsReplenishment: false, perDeviceCount: 10 },
    pendingRejoinRequests: [],
  });
  const second = await registerTestDevice(owner, { packages: 2 });
  const state = await owner.call('validateDeviceState', { deviceId: second.deviceId });
  expect(state).toMatchObject({ isValid: false, expectedConvos: 1, actualConvos: 0 });
  expect([state.issues.length, state.recommendations.length]).toEqual([2, 2]);
  expect(await owner.call('validateDeviceState', {})).toMatchObject({
    isValid: false,
    keyPackageInventory: { available: 12, target: 50, needsReplenishment: true },
  });
});
