import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { required } from '#platform/errors.ts';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** ProtocolVersion and WireFormat of RFC 9420 section 6. */
const wire = { welcome: [0, 1, 0, 3], groupInfo: [0, 1, 0, 4], keyPackage: [0, 1, 0, 5] };
const wrapped = (bytes: Uint8Array): Uint8Array => bytes;
const bare = (bytes: Uint8Array): Uint8Array => bytes.subarray(4);

interface Person {
  readonly client: XrpcClient;
  readonly mls: MlsMember;
}

/** A person with a registered device and one published key package. */
async function person(): Promise<Person> {
  const client = bed.client();
  const mls = await MlsMember.create({ did: client.did, cipherSuite: craftedSuite });
  await registerTestDevice(client, { device: mls.device, packages: 1 });
  return { client, mls };
}

async function packageOf({ client }: Person, owner: Person): Promise<Buffer> {
  const { keyPackages } = await client.call('getKeyPackages', { dids: [owner.client.did] });
  return Buffer.from(keyPackages[0]?.keyPackage ?? '', 'base64');
}

/** Joins with the Welcome that getWelcome returns, and expects it to start as an MLSMessage. */
async function join({ client, mls }: Person, convoId: string): Promise<Buffer> {
  const served = Buffer.from((await client.call('getWelcome', { convoId })).welcome, 'base64');
  expect([...served.subarray(0, 4)]).toEqual(wire.welcome);
  await mls.joinByWelcome(served);
  return served;
}

async function servedGroupInfo({ client }: Person, convoId: string): Promise<Buffer> {
  return Buffer.from((await client.call('getGroupInfo', { convoId })).groupInfo, 'base64');
}

describe.each([
  ['wrapped', wrapped],
  ['bare', bare],
])('a Welcome or GroupInfo sent %s is returned in an MLSMessage', (_name, form) => {
  test('by createConvo, updateGroupInfo, addMembers and processExternalCommit', async () => {
    const [alice, bob, carol] = [await person(), await person(), await person()];
    const groupId = newSecret(16);
    const convoId = groupId.toString('hex');
    await alice.mls.createGroup(groupId);
    const first = await alice.mls.addMembers([await packageOf(alice, bob)]);
    await alice.client.call('createConvo', {
      groupId: convoId,
      cipherSuite: craftedSuite,
      initialMembers: [bob.client.did],
      welcomeMessage: base64(form(required(first.welcome, 'a Welcome'))),
      groupInfo: base64(form(first.groupInfo)),
    });
    alice.mls.acceptCommit();
    expect((await servedGroupInfo(alice, convoId)).equals(first.groupInfo)).toBe(true);
    expect((await join(bob, convoId)).equals(required(first.welcome, 'a Welcome'))).toBe(true);

    const again = await bob.mls.exportGroupInfo();
    await bob.client.call('updateGroupInfo', { convoId, groupInfo: base64(form(again)), epoch: 1 });
    expect((await servedGroupInfo(alice, convoId)).equals(again)).toBe(true);

    const second = await alice.mls.addMembers([await packageOf(alice, carol)]);
    await alice.client.call('addMembers', {
      convoId,
      didList: [carol.client.did],
      idempotencyKey: newUuid(),
      commit: base64(second.commit),
      welcomeMessage: base64(form(required(second.welcome, 'a Welcome'))),
      groupInfo: base64(form(second.groupInfo)),
    });
    alice.mls.acceptCommit();
    expect((await servedGroupInfo(alice, convoId)).equals(second.groupInfo)).toBe(true);
    expect((await join(carol, convoId)).equals(required(second.welcome, 'a Welcome'))).toBe(true);
    expect(carol.mls.epochAuthenticator).toBe(alice.mls.epochAuthenticator);

    const device = await MlsMember.create({ did: bob.client.did, cipherSuite: craftedSuite });
    const made = await device.externalJoin(await servedGroupInfo(bob, convoId));
    await bob.client.call('processExternalCommit', {
      convoId,
      externalCommit: base64(made.commit),
      groupInfo: base64(form(made.groupInfo)),
    });
    expect((await servedGroupInfo(alice, convoId)).equals(made.groupInfo)).toBe(true);
  });

  test('by acceptChatRequest', async () => {
    const [alice, bob] = [await person(), await person()];
    const { requestId } = await bob.client.call('sendChatRequest', {
      recipientDid: alice.client.did,
      previewText: 'Hello',
    });
    const groupId = Buffer.from(requestId.replaceAll('-', ''), 'hex');
    await alice.mls.createGroup(groupId);
    const { welcome } = await alice.mls.addMembers([await packageOf(alice, bob)]);
    const welcomeData = new Uint8Array(form(required(welcome, 'a Welcome')));
    const { convoId } = await alice.client.call('acceptChatRequest', { requestId, welcomeData });
    alice.mls.acceptCommit();
    await join(bob, convoId);
    expect(bob.mls.epochAuthenticator).toBe(alice.mls.epochAuthenticator);
  });

  test('validateWelcome reads it', async () => {
    const [alice, bob] = [await person(), await person()];
    await alice.mls.createGroup(newSecret(16));
    const { welcome } = await alice.mls.addMembers([await packageOf(alice, bob)]);
    const welcomeMessage = new Uint8Array(form(required(welcome, 'a Welcome')));
    expect(await bob.client.call('validateWelcome', { welcomeMessage })).toMatchObject({ valid: true });
  });
});

const inMessage = (keyPackage: Uint8Array): Buffer => Buffer.concat([Buffer.from(wire.keyPackage), keyPackage]);

describe.each([
  ['bare', (bytes: Uint8Array) => Buffer.from(bytes)],
  ['in an MLSMessage', inMessage],
])(
  'a key package sent %s is returned bare, as clients of the contract read it, or in an MLSMessage on request, with the same reference',
  (_name, form) => {
    const expires = (): `${string}Z` => new Date(Date.now() + 86_400_000).toISOString() as `${string}Z`;

    async function served(owner: XrpcClient): Promise<unknown> {
      const claimer = bed.client();
      const { keyPackages } = await claimer.call('getKeyPackages', { dids: [owner.did] });
      // The same package again, in the form that mls-rs and OpenMLS read.
      const again = await claimer.call('getKeyPackages', { dids: [owner.did], asMlsMessage: true });
      expect(again.keyPackages.map(({ keyPackage }) => keyPackage)).toEqual(
        keyPackages.map(({ keyPackage }) => base64(inMessage(Buffer.from(keyPackage, 'base64')))),
      );
      return keyPackages.map(({ keyPackage, keyPackageHash }) => ({ keyPackage, keyPackageHash }));
    }

    test.each(['registerDevice', 'publishKeyPackage', 'publishKeyPackages', 'rejoin'] as const)(
      'by %s',
      async (method) => {
        const client = bed.client();
        const { device } = await MlsMember.create({ did: client.did, cipherSuite: craftedSuite });
        const { bytes, ref } = await device.createKeyPackage();
        const item = { keyPackage: base64(form(bytes)), cipherSuite: craftedSuite, expires: expires() };
        switch (method) {
          case 'registerDevice': {
            const keys = { deviceName: 'phone', signaturePublicKey: device.signaturePublicKey };
            await client.call('registerDevice', { ...keys, keyPackages: [item] });
            break;
          }
          case 'publishKeyPackage':
            await client.call('publishKeyPackage', item);
            break;
          case 'publishKeyPackages':
            expect(await client.call('publishKeyPackages', { keyPackages: [item] })).toMatchObject({ succeeded: 1 });
            break;
          case 'rejoin': {
            const groupId = newSecret(16).toString('hex');
            const members = { initialMembers: [client.did] };
            await bed.client().call('createConvo', { groupId, cipherSuite: craftedSuite, ...members });
            await client.call('rejoin', { convoId: groupId, keyPackage: item.keyPackage });
            break;
          }
        }
        expect(await served(client)).toEqual([{ keyPackage: base64(bytes), keyPackageHash: ref }]);
      },
    );
  },
);

test('other bytes are refused with a text that names the expected form', async () => {
  const [alice, bob] = [await person(), await person()];
  const groupId = newSecret(16);
  const convoId = groupId.toString('hex');
  await alice.mls.createGroup(groupId);
  const forBob = await packageOf(alice, bob);
  const { welcome, groupInfo, commit } = await alice.mls.addMembers([forBob]);
  const welcomeBytes = required(welcome, 'a Welcome');
  const toCreate = { groupId: convoId, cipherSuite: craftedSuite, initialMembers: [bob.client.did] };
  const expectRefusal = async (refusal: Promise<XrpcFailure>, error: string, expected: string): Promise<void> => {
    const { body } = await refusal;
    expect([body['error'], String(body['message']).includes(expected)], String(body['message'])).toEqual([error, true]);
  };
  const create = (fields: { welcomeMessage?: string; groupInfo?: string }): Promise<XrpcFailure> =>
    alice.client.refusal('createConvo', { ...toCreate, ...fields });
  // Each form in the field of another, wrapped twice, truncated, and of another protocol version.
  const version = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(0, 2), bytes.subarray(2)]);
  const twice = (head: readonly number[], bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from(head), bytes]);
  const notWelcomes = [groupInfo, commit, inMessage(forBob), version(welcomeBytes), twice(wire.welcome, welcomeBytes)];
  for (const bytes of [...notWelcomes, welcomeBytes.subarray(0, -1), newSecret(200)]) {
    await expectRefusal(create({ welcomeMessage: base64(bytes) }), 'InvalidWelcome', 'in an MLSMessage or bare');
  }
  const notGroupInfos = [welcomeBytes, commit, inMessage(forBob), version(groupInfo), twice(wire.groupInfo, groupInfo)];
  for (const bytes of [...notGroupInfos, groupInfo.subarray(0, -1), newSecret(200)]) {
    await expectRefusal(create({ groupInfo: base64(bytes) }), 'InvalidGroupInfo', 'in an MLSMessage or bare');
  }
  const notPackages = [welcomeBytes, groupInfo, commit, version(forBob), twice(wire.keyPackage, inMessage(forBob))];
  for (const bytes of [...notPackages, forBob.subarray(0, -1), newSecret(200)]) {
    const item = { keyPackage: base64(bytes), cipherSuite: craftedSuite };
    const refusal = bob.client.refusal('publishKeyPackage', item);
    await expectRefusal(refusal, 'InvalidKeyPackage', 'bare KeyPackage or one in an MLSMessage');
  }
});
