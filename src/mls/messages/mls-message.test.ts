import { describe, expect, it } from 'vitest';

import { readCommit } from './framing.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { type PublicMessageHeader, readMlsMessage } from './mls-message.ts';

const u8 = (value: number): Buffer => Buffer.of(value);
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const u32 = (value: number): Buffer => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);
const u64 = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(16, '0'), 'hex');

function opaque(...parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes.length < 64 ? u8(bytes.length) : u16(0x4000 + bytes.length), bytes]);
}

const KEY = opaque(Buffer.alloc(32, 1));
const SIGNATURE = opaque(Buffer.alloc(64, 2));
const TAG = opaque(Buffer.alloc(32, 3));
const EXTENSIONS = opaque(u16(1), opaque(Buffer.from('id')), u16(0x0a0a), opaque());
const CAPABILITIES = Buffer.concat([opaque(u16(1)), opaque(u16(1), u16(2)), opaque(), opaque(), opaque(u16(1))]);
const BASIC = Buffer.concat([u16(1), opaque(Buffer.from('did:plc:a'))]);
const X509 = Buffer.concat([u16(2), opaque(opaque(Buffer.alloc(40)), opaque(Buffer.alloc(50)))]);
const LIFETIME = Buffer.concat([u64(0n), u64(2n ** 63n - 1n)]);
const SOURCE_PART = {
  keyPackage: Buffer.concat([u8(1), LIFETIME]),
  update: u8(2),
  commit: Buffer.concat([u8(3), opaque(Buffer.alloc(32, 9))]),
  /** The fields of a `key_package` leaf after the source `update`. */
  mismatched: Buffer.concat([u8(2), LIFETIME]),
};

function leaf(source: keyof typeof SOURCE_PART, credential = BASIC): Buffer {
  return Buffer.concat([KEY, KEY, credential, CAPABILITIES, SOURCE_PART[source], EXTENSIONS, SIGNATURE]);
}

function keyPackage(leafNode = leaf('keyPackage')): Buffer {
  return Buffer.concat([u16(1), u16(1), KEY, leafNode, EXTENSIONS, SIGNATURE]);
}

const HPKE_CIPHERTEXT = Buffer.concat([KEY, opaque(Buffer.alloc(48))]);
const UPDATE_PATH = Buffer.concat([
  leaf('commit'),
  opaque(KEY, opaque(HPKE_CIPHERTEXT, HPKE_CIPHERTEXT), KEY, opaque()),
]);

const PROPOSALS = {
  add: Buffer.concat([u16(1), keyPackage()]),
  addX509: Buffer.concat([u16(1), keyPackage(leaf('keyPackage', X509))]),
  update: Buffer.concat([u16(2), leaf('update')]),
  remove: Buffer.concat([u16(3), u32(7)]),
  externalPsk: Buffer.concat([u16(4), u8(1), opaque(Buffer.from('psk')), opaque(Buffer.alloc(32))]),
  resumptionPsk: Buffer.concat([u16(4), u8(2), u8(3), opaque(Buffer.from('g')), u64(9n), opaque(Buffer.alloc(32))]),
  reinit: Buffer.concat([u16(5), opaque(Buffer.from('new')), u16(1), u16(2), EXTENSIONS]),
  externalInit: Buffer.concat([u16(6), KEY]),
  groupContextExtensions: Buffer.concat([u16(7), EXTENSIONS]),
};

const SENDERS = {
  member: Buffer.concat([u8(1), u32(5)]),
  external: Buffer.concat([u8(2), u32(6)]),
  newMemberProposal: u8(3),
  newMemberCommit: u8(4),
};

interface PublicParts {
  readonly sender?: keyof typeof SENDERS;
  readonly epoch?: bigint;
  readonly contentType: 1 | 2 | 3;
  readonly content: Buffer;
}

function publicMessage({ sender = 'member', epoch = 4n, contentType, content }: PublicParts): Buffer {
  return Buffer.concat([
    u16(1),
    u16(1),
    opaque(Buffer.from('group')),
    u64(epoch),
    SENDERS[sender],
    opaque(Buffer.from('aad')),
    u8(contentType),
    content,
    SIGNATURE,
    contentType === 3 ? TAG : Buffer.alloc(0),
    sender === 'member' ? TAG : Buffer.alloc(0),
  ]);
}

function commit(proposals: readonly Buffer[], path: Buffer | undefined = UPDATE_PATH): Buffer {
  return Buffer.concat([opaque(...proposals), path === undefined ? u8(0) : Buffer.concat([u8(1), path])]);
}

const byValue = (proposal: Buffer): Buffer => Buffer.concat([u8(1), proposal]);
const BY_REFERENCE = Buffer.concat([u8(2), opaque(Buffer.alloc(32, 8))]);

function expectOnlyExactLength(bytes: Buffer): void {
  readMlsMessage(bytes);
  for (let sizeBytes = 0; sizeBytes < bytes.length; sizeBytes += 1) {
    expect(() => readMlsMessage(bytes.subarray(0, sizeBytes))).toThrow(MlsFormatError);
  }
  expect(() => readMlsMessage(Buffer.concat([bytes, u8(0)]))).toThrow('Bytes follow');
}

describe('PublicMessage', () => {
  it.each(Object.entries(PROPOSALS))('finds the end of a %s proposal and of a commit that holds it', (_name, body) => {
    expectOnlyExactLength(publicMessage({ contentType: 2, content: body }));
    expectOnlyExactLength(publicMessage({ contentType: 3, content: commit([BY_REFERENCE, byValue(body)]) }));
  });

  it('returns group, epoch, content and the sender of a member message', () => {
    const bytes = publicMessage({ contentType: 2, content: PROPOSALS.remove });
    const { authenticatedContent, ...header } = readMlsMessage(bytes) as PublicMessageHeader;
    // AuthenticatedContent begins with the wire format and ends before the membership tag.
    expect(bytes.subarray(2, 2 + authenticatedContent.length)).toEqual(authenticatedContent);
    expect(bytes.length - authenticatedContent.length, 'version and tag').toBeLessThan(2 + 64);
    expect(header).toEqual({
      wireFormat: 'publicMessage',
      groupId: Buffer.from('group'),
      epoch: 4,
      contentType: 'proposal',
      senderType: 'member',
      senderLeafIndex: 5,
      commit: undefined,
      proposal: { type: 'remove', leafIndex: 7 },
    });
  });

  it('reads senders from outside the group, which carry no membership tag and no leaf', () => {
    expectOnlyExactLength(publicMessage({ sender: 'external', contentType: 2, content: PROPOSALS.remove }));
    expectOnlyExactLength(publicMessage({ sender: 'newMemberProposal', contentType: 2, content: PROPOSALS.add }));
    const header = readMlsMessage(publicMessage({ sender: 'external', contentType: 2, content: PROPOSALS.remove }));
    expect(header).toMatchObject({ senderType: 'external', senderLeafIndex: undefined });
  });

  it.each([
    ['an external sender commits', 'external', 3, commit([])],
    ['an external sender sends application data', 'external', 1, opaque(Buffer.from('hi'))],
    ['a proposing new member commits', 'newMemberProposal', 3, commit([])],
    ['a committing new member proposes', 'newMemberCommit', 2, PROPOSALS.add],
  ] as const)('refuses that %s', (_name, sender, contentType, content) => {
    expect(() => readMlsMessage(publicMessage({ sender, contentType, content }))).toThrow('sender type');
  });

  it.each([
    ['an unknown proposal', publicMessage({ contentType: 2, content: Buffer.concat([u16(0xf000), opaque()]) })],
    ['an unknown PSK type', publicMessage({ contentType: 2, content: Buffer.concat([u16(4), u8(3), KEY, KEY]) })],
    [
      'an unknown credential',
      publicMessage({
        contentType: 2,
        content: Buffer.concat([u16(1), keyPackage(leaf('keyPackage', Buffer.concat([u16(3), KEY])))]),
      }),
    ],
    [
      'an update leaf in a key package',
      publicMessage({ contentType: 2, content: Buffer.concat([u16(1), keyPackage(leaf('update'))]) }),
    ],
    [
      'a leaf with the fields of a key package leaf and another source',
      publicMessage({ contentType: 2, content: Buffer.concat([u16(1), keyPackage(leaf('mismatched'))]) }),
    ],
    [
      'a key package leaf in an update path',
      publicMessage({ contentType: 3, content: commit([], Buffer.concat([leaf('keyPackage'), opaque()])) }),
    ],
    [
      'a commit entry of unknown kind',
      publicMessage({ contentType: 3, content: commit([Buffer.concat([u8(3), opaque()])]) }),
    ],
    [
      'a presence octet of 2',
      publicMessage({ contentType: 3, content: Buffer.concat([opaque(), u8(2), UPDATE_PATH]) }),
    ],
    ['an epoch beyond 2^53', publicMessage({ epoch: 2n ** 53n, contentType: 2, content: PROPOSALS.remove })],
    [
      'another protocol version',
      Buffer.concat([u16(2), publicMessage({ contentType: 2, content: PROPOSALS.remove }).subarray(2)]),
    ],
    [
      'an unknown wire format',
      Buffer.concat([u16(1), u16(6), publicMessage({ contentType: 2, content: PROPOSALS.remove }).subarray(4)]),
    ],
  ])('refuses %s', (_name, bytes) => {
    expect(() => readMlsMessage(bytes)).toThrow(MlsFormatError);
  });
});

describe('readCommit', () => {
  const external = commit([byValue(PROPOSALS.externalInit), byValue(PROPOSALS.remove)]);

  it('distinguishes external commits from commits of members', () => {
    expect(readCommit(publicMessage({ sender: 'newMemberCommit', contentType: 3, content: external }))).toEqual({
      groupId: Buffer.from('group'),
      epoch: 4,
      external: true,
      encrypted: false,
      content: undefined,
      joiner: { identity: Buffer.from('did:plc:a'), removedLeafIndex: 7, externalPskIds: [] },
    });
    expect(readCommit(publicMessage({ contentType: 3, content: commit([BY_REFERENCE]) }))).toMatchObject({
      external: false,
      joiner: undefined,
    });
  });

  it.each([
    [
      'a new member without ExternalInit',
      publicMessage({ sender: 'newMemberCommit', contentType: 3, content: commit([byValue(PROPOSALS.remove)]) }),
    ],
    [
      'a new member with two ExternalInits',
      publicMessage({
        sender: 'newMemberCommit',
        contentType: 3,
        content: commit([byValue(PROPOSALS.externalInit), byValue(PROPOSALS.externalInit)]),
      }),
    ],
    [
      'a new member without a path',
      publicMessage({
        sender: 'newMemberCommit',
        contentType: 3,
        content: Buffer.concat([opaque(byValue(PROPOSALS.externalInit)), u8(0)]),
      }),
    ],
    ['a member with ExternalInit', publicMessage({ contentType: 3, content: external })],
    ['a proposal', publicMessage({ contentType: 2, content: PROPOSALS.remove })],
  ])('refuses a commit by %s', (_name, bytes) => {
    expect(() => readMlsMessage(bytes)).not.toThrow();
    expect(() => readCommit(bytes)).toThrow(MlsFormatError);
  });
});
