import { newSecret } from '#platform/ids.ts';
import { unwrapPadded } from '#mls/encoding/padding-envelope.ts';
import { craftApplication, craftCommit, craftExternalCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { MlsMember } from '../support/mls/mls-member.ts';

const suites = ['MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519', 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256'];
const crowd = 200;

/** Makes every kind of MLS structure that the service reads with ts-mls, and large ones of up to 64 KiB. */
export async function makeMlsSeeds(): Promise<readonly Uint8Array[]> {
  const real = await Promise.all(suites.map(realSeeds));
  const groupId = Buffer.alloc(32, 1);
  const join = { groupId, epoch: 1, did: 'did:plc:joiner0' };
  return [
    ...real.flat(),
    craftCommit(groupId, 1),
    craftApplication(groupId, 1, 65_536),
    craftExternalCommit({ ...join, pskIds: Array.from({ length: 20 }, () => newSecret(32)), removes: 1 }),
    craftExternalCommit({ ...join, removes: 9_000 }),
    craftWelcome(Array.from({ length: crowd }, () => newSecret(32))),
  ];
}

async function realSeeds(cipherSuite: string): Promise<Uint8Array[]> {
  const creator = await MlsMember.create({ did: 'did:plc:creator', cipherSuite });
  const outsider = await MlsMember.create({ did: 'did:web:outsider.example', cipherSuite });
  const joiners = await Promise.all(
    ['did:plc:joiner0', 'did:plc:joiner1'].map((did) => MlsMember.create({ did, cipherSuite })),
  );
  const packages = await Promise.all(joiners.map((joiner) => joiner.createKeyPackage()));
  await creator.createGroup(Buffer.alloc(32, 1));
  const added = await creator.addMembers(packages.map(({ bytes }) => bytes));
  if (added.welcome === undefined) throw new Error('no Welcome');
  creator.acceptCommit();
  const groupInfo = await creator.exportGroupInfo();
  const envelope = await creator.encrypt('in an envelope');
  const inner = await creator.encrypt('padded inside', 'inner');
  const privateCommit = (await creator.emptyCommit({ wire: 'private' })).commit;
  creator.rejectCommit();
  const keyPackages = packages.map(({ bytes }) => bytes);
  return [
    added.commit,
    added.welcome,
    groupInfo,
    envelope,
    inner,
    unwrapPadded(envelope),
    privateCommit,
    (await outsider.externalJoin(groupInfo)).commit,
    await creator.proposeRemoval('did:plc:joiner0', { wire: 'public' }),
    await creator.proposeRemoval('did:plc:joiner0', { wire: 'private' }),
    ...keyPackages,
    ...keyPackages.map((bytes) => Buffer.concat([Buffer.of(0, 1, 0, 5), bytes])),
    // Bare: without the version and wire format of an MLSMessage.
    added.welcome.subarray(4),
    groupInfo.subarray(4),
  ];
}
