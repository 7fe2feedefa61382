import { writeFile } from 'node:fs/promises';
import { unwrapPadded } from '#mls/encoding/padding-envelope.ts';
import { createCursorCodec } from '#domain/events/cursor.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { MlsMember } from '../../../test/support/mls/mls-member.ts';

// MLS messages and cursors contain random bytes, so they are made once, by hand, and stored:
// node bin/codegen/test-vectors/make-messages.ts && npm run codegen

const cipherSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const groupId = Buffer.from('6e696768746a61722d766563746f7273', 'hex');
/** Without an end, so that the messages do not expire. */
const lifetime = { notBefore: 0n, notAfter: 9_223_372_036_854_775_807n };

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function newMember(name: string): Promise<MlsMember> {
  const member = await MlsMember.create({ did: `did:plc:vectors${name}`.padEnd(32, 'a'), cipherSuite });
  const { device } = member;
  const make = device.makeKeyPackage.bind(device);
  device.makeKeyPackage = (options) => make({ ...options, lifetime });
  return member;
}

async function makeMessages(): Promise<Record<string, string>> {
  const [alice, bob, carol] = [await newMember('alice'), await newMember('bob'), await newMember('carol')];
  const bobs = await bob.createKeyPackage();
  const ofCarol = await bob.createKeyPackage({ identity: carol.did });
  await alice.createGroup(groupId);
  const added = await alice.addMembers([bobs.bytes]);
  if (added.welcome === undefined) throw new Error('there is no Welcome');
  alice.acceptCommit();
  await bob.joinByWelcome(added.welcome);
  const groupInfo = await alice.exportGroupInfo();
  const application = unwrapPadded(await alice.encrypt('Hello, Bob.'));
  const paddedInside = await alice.encrypt('Padded inside the encryption.', 'inner');
  const privateCommit = await alice.emptyCommit({ wire: 'private' });
  alice.rejectCommit();
  const external = await carol.externalJoin(groupInfo);
  const publicProposal = await bob.proposeRemoval(alice.did, { wire: 'public' });
  const privateProposal = await bob.proposeRemoval(alice.did, { wire: 'private' });
  const publicCommit = await alice.emptyCommit({ wire: 'public' });
  alice.acceptCommit();
  const secondCommit = await alice.emptyCommit({ wire: 'private' });
  return {
    groupId: hex(groupId),
    cipherSuite,
    aliceDid: alice.did,
    bobDid: bob.did,
    bobSignatureKey: hex(bob.device.signaturePublicKey),
    keyPackage: hex(bobs.bytes),
    keyPackageRef: bobs.ref,
    keyPackageOfAnotherPerson: hex(ofCarol.bytes),
    firstCommit: hex(added.commit),
    welcome: hex(added.welcome),
    groupInfo: hex(groupInfo),
    application: hex(application),
    paddedInside: hex(paddedInside),
    privateProposal: hex(privateProposal),
    publicProposal: hex(publicProposal),
    privateCommit: hex(privateCommit.commit),
    publicCommit: hex(publicCommit.commit),
    nextGroupInfo: hex(publicCommit.groupInfo),
    externalCommit: hex(external.commit),
    secondCommit: hex(secondCommit.commit),
    secondGroupInfo: hex(secondCommit.groupInfo),
  };
}

function makeCursors(): Record<string, string> {
  const codec = createCursorCodec(createPrivacy(parseKeyRing(newKeyRingText())), Buffer.alloc(16, 1));
  const event = { position: 41, groupId, eventNo: 1, receivedAtMs: 1_767_225_600_000 };
  return {
    cursor: codec.encode(event),
    cursorAgain: codec.encode(event),
    laterCursor: codec.encode({ ...event, position: 42 }),
  };
}

const made = { ...(await makeMessages()), ...makeCursors() };
await writeFile(new URL('made-messages.json', import.meta.url), `${JSON.stringify(made, undefined, 2)}\n`);
