import { afterAll, beforeAll, expect, test } from 'vitest';
import { sql } from 'kysely';
import { openClaim, sealClaim } from '#domain/device-additions/device-addition.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { publishTestPackage, registerTestDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed({ servers: 2 })));
afterAll(() => bed.stop());

type Addition = ResponseOf<'getPendingDeviceAdditions'>['pendingAdditions'][number];

async function pending(client: XrpcClient, convoIds?: string[]): Promise<readonly Addition[]> {
  return (await client.call('getPendingDeviceAdditions', { convoIds })).pendingAdditions;
}

/** Alice and Bob in a conversation, and a device that Alice registered afterwards. */
async function withNewDevice(options: { name?: string; packages?: number } = {}): Promise<{
  alice: XrpcClient;
  bob: XrpcClient;
  convoId: string;
  groupId: Buffer;
  device: Awaited<ReturnType<typeof registerTestDevice>>;
  addition: Addition;
}> {
  const [alice, bob] = [bed.client(), bed.client({ server: 1 })];
  const { convoId, groupId } = await createCraftedConversation(alice, [bob]);
  const device = await registerTestDevice(alice, options);
  const [addition] = await pending(bob);
  return { alice, bob, convoId, groupId, device, addition: addition ?? expect.fail('no addition is pending') };
}

const claim = (client: XrpcClient, { id }: Addition): Promise<ResponseOf<'claimPendingDeviceAddition'>> =>
  client.call('claimPendingDeviceAddition', { pendingAdditionId: id });
const complete = (client: XrpcClient, { id }: Addition): Promise<ResponseOf<'completePendingDeviceAddition'>> =>
  client.call('completePendingDeviceAddition', { pendingAdditionId: id, newEpoch: 1 });

/** Expires all claims: the expiry is in the sealed claim. */
async function expireClaims(): Promise<void> {
  const privacy = createPrivacy(parseKeyRing(bed.identityKey));
  for (const row of await bed.database.db.selectFrom('device_additions').selectAll().execute()) {
    const old = openClaim(privacy, row.addition, row.sealed_claim);
    const sealedClaim = sealClaim(privacy, row.addition, { ...old, untilMs: old.untilMs - 60_000 });
    await bed.database.db
      .updateTable('device_additions')
      .set({ sealed_claim: sealedClaim })
      .where(sql<boolean>`addition = ${row.addition}`)
      .execute();
  }
}

test('a new device waits in each conversation of its owner; every member and the owner see the same addition', async () => {
  const { alice, bob, convoId, device, addition } = await withNewDevice({ name: 'tablet' });
  expect(addition).toMatchObject({
    convoId,
    userDid: alice.did,
    deviceId: device.deviceId,
    deviceName: 'tablet',
    deviceCredentialDid: `${alice.did}#${device.deviceId}`,
    status: 'pending',
  });
  expect(addition.claimedBy).toBeUndefined();
  expect(await pending(bob)).toEqual([addition]);
  expect(await pending(alice)).toEqual([addition]);
  expect(await pending(alice, [convoId, 'ff', 'no hex'])).toEqual([addition]);
  const later = await createCraftedConversation(alice, [bob]);
  expect(await pending(bob, [later.convoId])).toEqual([]);
});

test('a first device, an updated one, and one of a person who left do not wait; a new signature key does', async () => {
  const [alice, bob] = [bed.client(), bed.client()];
  const uuid = '7b0e2a52-2a53-4f0e-9a11-0d6a3f2f9a10';
  const first = await registerTestDevice(alice, { uuid });
  const { convoId } = await createCraftedConversation(alice, [bob]);
  expect(await pending(bob)).toEqual([]);
  const extra = await first.device.createKeyPackage();
  await alice.call('registerDevice', {
    deviceName: 'renamed',
    deviceUUID: uuid,
    signaturePublicKey: first.device.signaturePublicKey,
    keyPackages: [
      {
        keyPackage: Buffer.from(extra.bytes).toString('base64'),
        cipherSuite: first.device.suite.name,
        expires: new Date(Date.now() + 86_400_000).toISOString() as `${string}Z`,
      },
    ],
  });
  expect(await pending(bob)).toEqual([]);
  const reinstalled = await registerTestDevice(alice, { uuid });
  expect(reinstalled.deviceId).toBe(first.deviceId);
  expect((await pending(bob)).map(({ deviceId }) => deviceId)).toEqual([first.deviceId]);
  const device = await registerTestDevice(bob);
  expect((await pending(alice)).map(({ deviceId }) => deviceId).sort()).toEqual(
    [first.deviceId, device.deviceId].sort(),
  );
  await bob.call('leaveConvo', { convoId });
  expect((await pending(alice)).map(({ deviceId }) => deviceId)).toEqual([first.deviceId]);
});

test('of sixteen claimers on two servers one gets the claim, and one key package is handed out', async () => {
  const [alice] = [bed.client()];
  const others = Array.from({ length: 16 }, (_, index) => bed.client({ server: index % 2 }));
  await createCraftedConversation(alice, others);
  const device = await registerTestDevice(alice, { packages: 3 });
  const [addition = expect.fail('no addition is pending')] = await pending(alice);
  const responses = await Promise.all(others.map((client) => claim(client, addition)));
  const winners = responses.filter(({ claimed }) => claimed);
  expect(winners.length).toBe(1);
  const [winner] = winners;
  expect(winner?.keyPackage).toMatchObject({ did: alice.did, cipherSuite: device.device.suite.name });
  expect(device.refs).toContain(winner?.keyPackage?.keyPackageHash);
  for (const response of responses.filter(({ claimed }) => !claimed)) {
    expect(response).toEqual({
      claimed: false,
      convoId: addition.convoId,
      deviceCredentialDid: addition.deviceCredentialDid,
      claimedBy: winner?.claimedBy,
    });
  }
  expect((await pending(alice))[0]).toMatchObject({ status: 'in_progress', claimedBy: winner?.claimedBy });
  expect((await alice.call('getKeyPackageStatus', {})).reserved).toBe(1);
});

test('its claimer renews a claim with the same package; it expires after 60 seconds and completes once', async () => {
  const { alice, bob, device, addition } = await withNewDevice();
  expect(await complete(bob, addition)).toEqual({ success: false, error: 'InvalidStatus:pending' });
  const first = await claim(bob, addition);
  expect(first).toMatchObject({ claimed: true, claimedBy: bob.did, convoId: addition.convoId });
  expect((await claim(bob, addition)).keyPackage).toEqual(first.keyPackage);
  expect(await claim(alice, addition)).toMatchObject({ claimed: false, claimedBy: bob.did });
  const refused = await alice.refusal('completePendingDeviceAddition', { pendingAdditionId: addition.id, newEpoch: 1 });
  expect([refused.status, refused.error]).toEqual([403, 'NotClaimed']);

  await expireClaims();
  expect((await pending(alice))[0]).toMatchObject({ status: 'pending' });
  const second = await claim(alice, addition);
  expect(second).toMatchObject({ claimed: true, claimedBy: alice.did });
  expect(device.refs).toContain(second.keyPackage?.keyPackageHash);
  expect(second.keyPackage?.keyPackageHash).not.toBe(first.keyPackage?.keyPackageHash);
  expect(
    (await bob.refusal('completePendingDeviceAddition', { pendingAdditionId: addition.id, newEpoch: 1 })).error,
  ).toBe('NotClaimed');
  await expireClaims();
  expect(await complete(alice, addition)).toEqual({ success: true });
  expect(await complete(alice, addition)).toEqual({ success: true });
  expect(await complete(bob, addition)).toEqual({ success: false, error: 'InvalidStatus:completed' });
  expect(await claim(bob, addition)).toEqual({ claimed: false });
  expect(await pending(alice)).toEqual([]);
});

test('a device without key packages cannot be claimed, and stays unclaimed', async () => {
  const { alice, bob, device, addition } = await withNewDevice({ packages: 1 });
  await alice.call('syncKeyPackages', { deviceId: device.deviceId, localHashes: [] });
  const response = await claim(bob, addition);
  expect(response).toEqual({
    claimed: false,
    convoId: addition.convoId,
    deviceCredentialDid: addition.deviceCredentialDid,
  });
  expect((await pending(alice))[0]).toMatchObject({ status: 'pending' });
  await publishTestPackage(alice, device);
  expect(await claim(alice, addition)).toMatchObject({ claimed: true });
});

test('a Welcome for the device ends its addition, also without a completing call', async () => {
  const { alice, bob, convoId, groupId, addition } = await withNewDevice();
  const { keyPackage } = await claim(bob, addition);
  const ref = Buffer.from(keyPackage?.keyPackageHash ?? '', 'hex');
  await bob.call('addMembers', {
    convoId,
    didList: [alice.did],
    idempotencyKey: addition.id.slice(0, 36),
    commit: craftCommit(groupId, 0).toString('base64'),
    welcomeMessage: craftWelcome([ref]).toString('base64'),
  });
  expect(await pending(bob)).toEqual([]);
  expect(await claim(alice, addition)).toEqual({ claimed: false });
  expect(await complete(bob, addition)).toEqual({ success: true });
});

test('for non-members an addition does not exist, in the same response bytes as an unknown one; a removed member gets NotMember', async () => {
  const { bob, convoId, addition } = await withNewDevice();
  const nonMember = bed.client();
  const unknownId = `${addition.id.slice(0, -2)}AA`;
  for (const name of ['claimPendingDeviceAddition', 'completePendingDeviceAddition'] as const) {
    const responses = await Promise.all(
      [addition.id, unknownId, 'nonsense', `${crypto.randomUUID()}.AAAAAAAAAAAAAAAAAAAAAA`].map((pendingAdditionId) =>
        nonMember.raw(name, { verb: 'POST', body: JSON.stringify({ pendingAdditionId, newEpoch: 1 }) }),
      ),
    );
    expect(new Set(responses.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  }
  expect(await claim(nonMember, addition)).toEqual({ claimed: false });
  expect(await complete(nonMember, addition)).toEqual({ success: false, error: 'PendingAdditionNotFound' });
  expect(await pending(nonMember, [convoId])).toEqual([]);

  await bob.call('leaveConvo', { convoId });
  const refused = await bob.refusal('claimPendingDeviceAddition', { pendingAdditionId: addition.id });
  expect([refused.status, refused.error]).toEqual([403, 'NotMember']);
  expect(await complete(bob, addition)).toEqual({ success: false, error: 'PendingAdditionNotFound' });
  expect(await pending(bob)).toEqual([]);
  expect(await bed.database.db.selectFrom('device_additions').selectAll().execute()).not.toEqual([]);
});

test('deleting a device ends its additions and deletes their stored claims', async () => {
  const { alice, bob, device, addition } = await withNewDevice();
  await claim(bob, addition);
  const countRows = async (): Promise<number> =>
    (await bed.database.db.selectFrom('device_additions').selectAll().execute()).length;
  const before = await countRows();
  await alice.call('deleteDevice', { deviceId: device.deviceId });
  expect(await countRows()).toBe(before - 1);
  expect(await pending(bob)).toEqual([]);
  expect(await claim(bob, addition)).toEqual({ claimed: false });
});

test('newDeviceEvent reaches members and the owner on any server, also after a reconnect, and never non-members', async () => {
  const [alice, bob, carol] = [bed.client(), bed.client({ server: 1 }), bed.client()];
  const { convoId } = await createCraftedConversation(alice, [bob]);
  const other = await createCraftedConversation(carol, []);
  const [ofAlice, ofBob, ofCarol] = await Promise.all([alice, bob, carol].map((client) => openEventStream(client)));
  const device = await registerTestDevice(alice, { name: 'watch' });
  const [addition] = await pending(bob);
  const expected = {
    convoId,
    userDid: alice.did,
    deviceId: device.deviceId,
    deviceName: 'watch',
    deviceCredentialDid: `${alice.did}#${device.deviceId}`,
    pendingAdditionId: addition?.id,
  };
  const [toAlice, toBob] = await Promise.all([ofAlice?.next('newDeviceEvent'), ofBob?.next('newDeviceEvent')]);
  expect(toAlice).toMatchObject(expected);
  expect(toBob).toMatchObject(expected);
  expect((await claim(bob, addition ?? expect.fail('no addition is pending'))).claimed).toBe(true);

  await ofBob?.close();
  const second = await registerTestDevice(alice, { name: 'laptop' });
  const reconnected = await openEventStream(bob, { cursor: toBob?.cursor });
  await reconnected.next('newDeviceEvent', ({ deviceId }) => deviceId === second.deviceId);
  await carol.call('getEpoch', { convoId: other.convoId });
  expect(ofCarol?.events).toEqual([]);
  await Promise.all([ofAlice?.close(), ofCarol?.close(), reconnected.close()]);
});
