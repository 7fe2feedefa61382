import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { MlsMember } from '../support/mls/mls-member.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

interface Person {
  readonly client: XrpcClient;
  readonly mls: MlsMember;
}

const commonSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

/** Each suite with the least size of a KeyPackage: two post-quantum KEM keys, or an ML-DSA key and two signatures. */
const suites = [
  [commonSuite, 200],
  ['MLS_128_DHKEMP256_AES128GCM_SHA256_P256', 200],
  ['MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519', 200],
  ['MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448', 250],
  ['MLS_256_DHKEMP521_AES256GCM_SHA512_P521', 300],
  ['MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448', 250],
  ['MLS_256_DHKEMP384_AES256GCM_SHA384_P384', 250],
  ['MLS_256_XWING_AES256GCM_SHA512_Ed25519', 2_400],
  ['MLS_256_MLKEM768_CHACHA20POLY1305_SHA384_Ed25519', 2_300],
  ['MLS_256_MLKEM1024_AES256GCM_SHA512_MLDSA87', 14_000],
] as const;

async function register(cipherSuite: string): Promise<Person> {
  const client = bed.client();
  const mls = await MlsMember.create({ did: client.did, cipherSuite });
  await registerTestDevice(client, { device: mls.device, packages: 1 });
  return { client, mls };
}

/** Fetches the only key package of this suite that the other person has published. */
async function fetchPackage({ client }: Person, other: Person, cipherSuite: string): Promise<Buffer> {
  const { keyPackages, missing } = await client.call('getKeyPackages', { dids: [other.client.did], cipherSuite });
  expect({ count: keyPackages.length, missing }).toEqual({ count: 1, missing: undefined });
  expect(keyPackages[0]?.cipherSuite).toBe(cipherSuite);
  return Buffer.from(keyPackages[0]?.keyPackage ?? '', 'base64');
}

const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64');

async function join({ client, mls }: Person, convoId: string): Promise<void> {
  const { welcome } = await client.call('getWelcome', { convoId });
  await mls.joinByWelcome(Buffer.from(welcome, 'base64'));
}

async function send({ client, mls }: Person, convoId: string, text: string): Promise<void> {
  const ciphertext = await mls.encrypt(text);
  const request = { convoId, msgId: newUuid(), epoch: mls.epoch, ciphertext, paddedSize: ciphertext.length };
  await client.call('sendMessage', request);
}

async function readLast({ client, mls }: Person, convoId: string): Promise<unknown> {
  const { messages } = await client.call('getMessages', { convoId });
  return mls.receive(messages.at(-1)?.ciphertext ?? expect.fail('no message'));
}

describe.each(suites)('%s', (cipherSuite, packageSizeBytesMin) => {
  test('publish, fetch, create, Welcome, commit, message: all through the server', async () => {
    const [alice, bob, carol] = [await register(cipherSuite), await register(cipherSuite), await register(cipherSuite)];
    if (cipherSuite !== commonSuite) {
      // A package of another suite, which must not be returned here.
      await registerTestDevice(bob.client, { packages: 1 });
    }
    const groupId = newSecret(16);
    const convoId = groupId.toString('hex');
    await alice.mls.createGroup(groupId);

    const forBob = await fetchPackage(alice, bob, cipherSuite);
    expect(forBob.length).toBeGreaterThan(packageSizeBytesMin);
    const first = await alice.mls.addMembers([forBob]);
    await alice.client.call('createConvo', {
      groupId: convoId,
      cipherSuite,
      initialMembers: [bob.client.did],
      welcomeMessage: base64(first.welcome),
      groupInfo: base64(first.groupInfo),
    });
    alice.mls.acceptCommit();
    await join(bob, convoId);

    const second = await bob.mls.addMembers([await fetchPackage(bob, carol, cipherSuite)]);
    const { newEpoch } = await bob.client.call('addMembers', {
      convoId,
      didList: [carol.client.did],
      idempotencyKey: newUuid(),
      commit: base64(second.commit),
      welcomeMessage: base64(second.welcome),
      groupInfo: base64(second.groupInfo),
    });
    bob.mls.acceptCommit();
    expect(newEpoch).toBe(2);
    await join(carol, convoId);
    const { commits } = await alice.client.call('getCommits', { convoId, fromEpoch: 1 });
    expect(await alice.mls.receive(commits.at(-1)?.commitData ?? expect.fail('no commit'))).toEqual({
      kind: 'commit',
      removed: false,
    });
    expect([bob.mls.epochAuthenticator, carol.mls.epochAuthenticator]).toEqual(
      Array.from({ length: 2 }, () => alice.mls.epochAuthenticator),
    );

    await send(carol, convoId, 'from Carol');
    for (const person of [alice, bob])
      expect(await readLast(person, convoId)).toEqual({ kind: 'application', text: 'from Carol' });
    const { groupInfo } = await alice.client.call('getGroupInfo', { convoId });
    expect(Buffer.from(groupInfo, 'base64').length).toBeGreaterThan(packageSizeBytesMin / 2);
  });
});
