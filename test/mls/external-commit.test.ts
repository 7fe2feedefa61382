import { encodeMlsMessage, type Proposal } from 'ts-mls';
import { beforeAll, expect, it } from 'vitest';

import { readCommit } from '#mls/messages/framing.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { newSecret } from '#platform/ids.ts';

import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { decodeMessage } from '../support/mls/mls-decoding.ts';
import { MlsMember } from '../support/mls/mls-member.ts';

const did = 'did:web:outsider.example';
let commit: Uint8Array;
let keyPackage: Uint8Array;

beforeAll(async () => {
  const [creator, outsider] = await Promise.all(
    ['did:plc:creator', did].map((identity) => MlsMember.create({ did: identity, cipherSuite: craftedSuite })),
  );
  if (creator === undefined || outsider === undefined) throw new Error('no members');
  await creator.createGroup(newSecret(16));
  ({ commit } = await outsider.externalJoin(await creator.exportGroupInfo()));
  keyPackage = (await outsider.createKeyPackage()).bytes;
});

/** Adds proposals to the commit. Its signature becomes invalid, which the service cannot check. */
function withMore(proposals: readonly Proposal[], references: readonly Uint8Array[] = []): Uint8Array {
  const message = decodeMessage(commit);
  if (message.wireformat !== 'mls_public_message') throw new TypeError('not a PublicMessage');
  const { content } = message.publicMessage;
  if (content.contentType !== 'commit') throw new TypeError('not a commit');
  content.commit.proposals.push(
    ...proposals.map((proposal) => ({ proposalOrRefType: 'proposal', proposal }) as const),
    ...references.map((reference) => ({ proposalOrRefType: 'reference', reference }) as const),
  );
  return encodeMlsMessage(message);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const remove: Proposal = { proposalType: 'remove', remove: { removed: 0 } };
const psk = (pskId: Uint8Array): Proposal => ({
  proposalType: 'psk',
  psk: { preSharedKeyId: { psktype: 'external', pskId, pskNonce: newSecret(32) } },
});

it('returns the joiner and the ids of external PSKs', () => {
  const { external, epoch, joiner } = readCommit(commit);
  expect([external, epoch, Buffer.from(joiner?.identity ?? []).toString()]).toEqual([true, 0, did]);
  expect([joiner?.removedLeafIndex, joiner?.externalPskIds]).toEqual([undefined, []]);
  const ids = [newSecret(32), newSecret(1)];
  const resumption: Proposal = {
    proposalType: 'psk',
    psk: {
      preSharedKeyId: {
        psktype: 'resumption',
        usage: 'application',
        pskGroupId: newSecret(32),
        pskEpoch: 0n,
        pskNonce: newSecret(32),
      },
    },
  };
  const more = readCommit(withMore([resumption, ...ids.map(psk), remove])).joiner;
  expect([more?.removedLeafIndex, more?.externalPskIds.map(hex)]).toEqual([0, ids.map(hex)]);
});

it('may have one ExternalInit, one Remove and PSKs, and no other proposals (RFC 9420 section 12.4.3.2)', () => {
  const added = decodeMessage(Buffer.concat([Buffer.of(0, 1, 0, 5), keyPackage]));
  if (added.wireformat !== 'mls_key_package') throw new TypeError('not a KeyPackage');
  const bad: readonly Proposal[][] = [
    [remove, remove],
    [{ proposalType: 'add', add: { keyPackage: added.keyPackage } }],
    [{ proposalType: 'external_init', externalInit: { kemOutput: newSecret(32) } }],
    [{ proposalType: 'group_context_extensions', groupContextExtensions: { extensions: [] } }],
  ];
  for (const proposals of bad) expect(() => readCommit(withMore(proposals))).toThrow(MlsFormatError);
  expect(() => readCommit(withMore([], [newSecret(32)])), 'a proposal by reference').toThrow(MlsFormatError);
});

it('returns the first eight of 5,000 PSK ids', () => {
  const ids = Array.from({ length: 5_000 }, () => newSecret(32));
  expect(readCommit(withMore(ids.map(psk))).joiner?.externalPskIds.map(hex)).toEqual(ids.slice(0, 8).map(hex));
});
