import fc from 'fast-check';
import { decodeMlsMessage, encodeMlsMessage, type MLSMessage } from 'ts-mls';
import { encodeGroupInfo } from 'ts-mls/groupInfo.js';
import { encodeWelcome } from 'ts-mls/welcome.js';
import { beforeAll, describe, expect, it } from 'vitest';

import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { readGroupMessage, readCommit } from '#mls/messages/framing.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { type MlsMessageHeader, readMlsMessage } from '#mls/messages/mls-message.ts';
import { isMessageSizeBucket, unwrapPadded } from '#mls/encoding/padding-envelope.ts';
import { readWelcome } from '#mls/messages/welcome.ts';

import { MlsMember } from '../support/mls/mls-member.ts';
import { pad } from '#client/conversation/padding.ts';

const SUITES = ['MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519', 'MLS_128_DHKEMP256_AES128GCM_SHA256_P256'];
const JOINERS = 5;
/** The number of runs of each property; all properties run for each suite. */
const PROPERTY = { numRuns: 400 };

interface Corpus {
  readonly groupId: Uint8Array;
  readonly refs: readonly string[];
  readonly publicCommit: Uint8Array;
  readonly privateCommit: Uint8Array;
  readonly externalCommit: Uint8Array;
  readonly welcome: Uint8Array;
  readonly groupInfo: Uint8Array;
  readonly application: Uint8Array;
  readonly publicProposal: Uint8Array;
  readonly privateProposal: Uint8Array;
  readonly envelope: Uint8Array;
  readonly inner: Uint8Array;
  readonly keyPackage: Uint8Array;
}

/** Makes every kind of message in epoch 1 of a group of six, except `publicCommit`, which ends epoch 0. */
async function makeCorpus(cipherSuite: string): Promise<Corpus> {
  const names = Array.from({ length: JOINERS }, (_, index) => `did:plc:joiner${index}`);
  const [creator, outsider] = await Promise.all(
    ['did:plc:creator', 'did:web:outsider.example'].map((did) => MlsMember.create({ did, cipherSuite })),
  );
  if (creator === undefined || outsider === undefined) throw new Error('no members');
  const joiners = await Promise.all(names.map((did) => MlsMember.create({ did, cipherSuite })));
  const packages = await Promise.all(joiners.map((joiner) => joiner.createKeyPackage()));
  const groupId = crypto.getRandomValues(new Uint8Array(32));
  await creator.createGroup(groupId);
  const added = await creator.addMembers(packages.map(({ bytes }) => bytes));
  if (added.welcome === undefined) throw new Error('no Welcome');
  creator.acceptCommit();
  const groupInfo = await creator.exportGroupInfo();
  // Encrypted before the proposals, because ts-mls sends no application data while a proposal is pending.
  const envelope = await creator.encrypt('in an envelope');
  const inner = await creator.encrypt('padded inside', 'inner');
  const privateCommit = (await creator.emptyCommit({ wire: 'private' })).commit;
  creator.rejectCommit();
  return {
    groupId,
    refs: packages.map(({ ref }) => ref),
    publicCommit: added.commit,
    privateCommit,
    externalCommit: (await outsider.externalJoin(groupInfo)).commit,
    welcome: added.welcome,
    groupInfo,
    application: unwrapPadded(envelope),
    publicProposal: await creator.proposeRemoval('did:plc:joiner0', { wire: 'public' }),
    privateProposal: await creator.proposeRemoval('did:plc:joiner0', { wire: 'private' }),
    envelope,
    inner,
    keyPackage: Buffer.concat([Buffer.of(0, 1, 0, 5), packages[0]?.bytes ?? new Uint8Array()]),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The same fields as `summary`, from ts-mls. */
function theirSummary(message: MLSMessage): string[] {
  switch (message.wireformat) {
    case 'mls_public_message': {
      const { groupId, epoch, contentType, sender } = message.publicMessage.content;
      const leaf = sender.senderType === 'member' ? String(sender.leafIndex) : '-';
      return ['publicMessage', hex(groupId), String(epoch), contentType, sender.senderType, leaf];
    }
    case 'mls_private_message': {
      const { groupId, epoch, contentType } = message.privateMessage;
      return ['privateMessage', hex(groupId), String(epoch), contentType];
    }
    case 'mls_welcome': {
      const { cipherSuite, secrets } = message.welcome;
      return ['welcome', suiteNumber(cipherSuite), ...secrets.map(({ newMember }) => hex(newMember))];
    }
    case 'mls_group_info': {
      const { groupId, epoch, cipherSuite } = message.groupInfo.groupContext;
      return ['groupInfo', hex(groupId), String(epoch), suiteNumber(cipherSuite)];
    }
    default:
      return ['keyPackage', suiteNumber(message.keyPackage.cipherSuite)];
  }
}

function suiteNumber(nameOrNumber: string): string {
  return String(cipherSuiteNumber(nameOrNumber) ?? nameOrNumber);
}

function summary(header: MlsMessageHeader): string[] {
  switch (header.wireFormat) {
    case 'publicMessage': {
      const leaf = String(header.senderLeafIndex ?? '-');
      return [
        header.wireFormat,
        hex(header.groupId),
        String(header.epoch),
        header.contentType,
        header.senderType,
        leaf,
      ];
    }
    case 'privateMessage':
      return [header.wireFormat, hex(header.groupId), String(header.epoch), header.contentType];
    case 'welcome':
      return [header.wireFormat, String(header.cipherSuite), ...header.keyPackageRefs.map(hex)];
    case 'groupInfo':
      return [header.wireFormat, hex(header.groupId), String(header.epoch), String(header.cipherSuite)];
    case 'keyPackage':
      return [header.wireFormat, String(header.cipherSuite)];
  }
}

type Reading = { readonly kind: 'read'; readonly facts: string[] } | { readonly kind: 'refused' };

/** Parses `bytes` with Nightjar's parser; any error other than MlsFormatError fails the test. */
function ourReading(bytes: Uint8Array): Reading {
  try {
    return { kind: 'read', facts: summary(readMlsMessage(bytes)) };
  } catch (error) {
    expect(error).toBeInstanceOf(MlsFormatError);
    return { kind: 'refused' };
  }
}

/** Parses `bytes` with ts-mls, which throws several kinds of errors and ignores trailing bytes. @returns undefined on an error. */
function theirReading(bytes: Uint8Array): { facts: string[]; isExact: boolean } | undefined {
  try {
    const decoded = decodeMlsMessage(bytes, 0);
    return decoded && { facts: theirSummary(decoded[0]), isExact: decoded[1] === bytes.length };
  } catch {
    return undefined;
  }
}

describe.each(SUITES)('framing of messages that ts-mls makes with %s', (cipherSuite) => {
  let corpus: Corpus;
  let messages: Record<string, Uint8Array>;

  beforeAll(async () => {
    corpus = await makeCorpus(cipherSuite);
    const { groupId: _groupId, refs: _refs, envelope: _envelope, ...all } = corpus;
    messages = all;
  });

  const expected = (): { groupId: Uint8Array; epoch: number } => ({ groupId: corpus.groupId, epoch: 1 });

  it('reads the same fields as ts-mls, and only at the exact length', () => {
    for (const [name, bytes] of Object.entries(messages)) {
      const theirs = theirReading(bytes);
      expect(theirs?.isExact, name).toBe(true);
      expect(ourReading(bytes), name).toEqual({ kind: 'read', facts: theirs?.facts });
      expect(ourReading(bytes.subarray(0, -1)).kind, name).toBe('refused');
      expect(ourReading(Buffer.concat([bytes, Buffer.of(0)])).kind, name).toBe('refused');
    }
  });

  it('distinguishes public, private and external commits', () => {
    const read = (name: string): unknown => {
      const { external, encrypted, epoch, groupId } = readCommit(messages[name] ?? new Uint8Array());
      return { external, encrypted, epoch, group: hex(groupId) };
    };
    const group = hex(corpus.groupId);
    expect(read('publicCommit')).toEqual({ external: false, encrypted: false, epoch: 0, group });
    expect(read('privateCommit')).toEqual({ external: false, encrypted: true, epoch: 1, group });
    expect(read('externalCommit')).toEqual({ external: true, encrypted: false, epoch: 1, group });
    for (const name of ['application', 'publicProposal', 'privateProposal', 'welcome', 'groupInfo', 'keyPackage']) {
      expect(() => read(name), name).toThrow(MlsFormatError);
    }
  });

  it('returns the KeyPackageRef of every joiner of a Welcome, wrapped or bare', () => {
    const message = decodeMlsMessage(corpus.welcome, 0)?.[0];
    if (message?.wireformat !== 'mls_welcome') throw new Error('no Welcome');
    for (const bytes of [corpus.welcome, encodeWelcome(message.welcome)]) {
      const { cipherSuite: number, keyPackageRefs } = readWelcome(bytes);
      expect(number).toBe(cipherSuiteNumber(cipherSuite));
      expect(keyPackageRefs.map(hex)).toEqual(corpus.refs);
      expect(() => readWelcome(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(MlsFormatError);
      expect(() => readWelcome(bytes.subarray(0, -1))).toThrow(MlsFormatError);
    }
    expect(() => readWelcome(corpus.groupInfo)).toThrow(MlsFormatError);
  });

  it('reads a GroupInfo, wrapped or bare', () => {
    const message = decodeMlsMessage(corpus.groupInfo, 0)?.[0];
    if (message?.wireformat !== 'mls_group_info') throw new Error('no GroupInfo');
    for (const bytes of [corpus.groupInfo, encodeGroupInfo(message.groupInfo)]) {
      const { groupId, epoch, cipherSuite: number } = readGroupInfo(bytes);
      expect([hex(groupId), epoch, number]).toEqual([hex(corpus.groupId), 1, cipherSuiteNumber(cipherSuite)]);
      expect(() => readGroupInfo(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(MlsFormatError);
      expect(() => readGroupInfo(bytes.subarray(0, -1))).toThrow(MlsFormatError);
    }
    expect(() => readGroupInfo(corpus.welcome)).toThrow(MlsFormatError);
  });

  it('accepts application data and proposals with both kinds of padding', () => {
    for (const padded of [corpus.envelope, corpus.inner, pad(corpus.privateProposal)]) {
      expect(isMessageSizeBucket(padded.length)).toBe(true);
      expect(readGroupMessage(padded, expected()).kind).toBe('encrypted');
    }
    const clear = readGroupMessage(pad(corpus.publicProposal), expected());
    expect(clear).toMatchObject({
      kind: 'clearProposal',
      proposal: { senderType: 'member', senderLeafIndex: 0, proposal: { type: 'remove', leafIndex: 1 } },
    });
  });

  it('refuses commits, other structures, and messages of another group or epoch', () => {
    const otherGroup = Uint8Array.from(corpus.groupId, (byte, index) => (index === 31 ? byte ^ 1 : byte));
    const cases: readonly (readonly [string, Uint8Array, { groupId: Uint8Array; epoch: number }])[] = [
      ['is an MLS commit', pad(corpus.privateCommit), expected()],
      ['is an MLS commit', pad(corpus.publicCommit), { ...expected(), epoch: 0 }],
      ['neither an MLS PrivateMessage', pad(corpus.welcome), expected()],
      ['another MLS group', corpus.envelope, { ...expected(), groupId: otherGroup }],
      ['another MLS group', corpus.envelope, { ...expected(), groupId: corpus.groupId.subarray(0, 31) }],
      ['another MLS epoch', corpus.envelope, { ...expected(), epoch: 0 }],
      ['another MLS epoch', corpus.inner, { ...expected(), epoch: 2 }],
    ];
    for (const [text, bytes, claim] of cases) expect(() => readGroupMessage(bytes, claim)).toThrow(text);
  });

  it('agrees with ts-mls on flipped, truncated and extended messages, and refuses trailing bytes', () => {
    const names = Object.keys(messages);
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
        fc.option(fc.nat()),
        fc.uint8Array({ maxLength: 3 }),
        (name, flips, cut, tail) => {
          const whole = Buffer.from(messages[name] ?? []);
          // Half of the flips are in the first 128 bytes, which contain the structure.
          for (const [at, mask] of flips) {
            const index = at % (mask % 2 === 0 ? whole.length : 128);
            whole[index] = (whole[index] ?? 0) ^ mask;
          }
          const bytes = Buffer.concat([cut === null ? whole : whole.subarray(0, cut % whole.length), tail]);
          const ours = ourReading(bytes);
          const theirs = theirReading(bytes);
          if (theirs !== undefined && !theirs.isExact) expect(ours.kind).toBe('refused');
          if (theirs?.isExact === true && ours.kind === 'read') expect(ours.facts).toEqual(theirs.facts);
        },
      ),
      PROPERTY,
    );
  });

  it('accepts no damaged message for another group, epoch or content type', () => {
    const claim = expected();
    fc.assert(
      fc.property(
        fc.constantFrom(corpus.envelope, corpus.inner, pad(corpus.privateProposal)),
        fc.nat({ max: 80 }),
        fc.integer({ min: 1, max: 255 }),
        (padded, at, mask) => {
          const bytes = Buffer.from(padded);
          bytes[at] = (bytes[at] ?? 0) ^ mask;
          try {
            readGroupMessage(bytes, claim);
          } catch (error) {
            expect(error).toBeInstanceOf(MlsFormatError);
            return;
          }
          const facts = theirReading(unwrapPadded(bytes))?.facts;
          expect(facts?.slice(0, 3)).toEqual(['privateMessage', hex(claim.groupId), '1']);
          expect(['application', 'proposal']).toContain(facts?.[3]);
        },
      ),
      PROPERTY,
    );
  });

  it('throws only MlsFormatError on random bytes after valid headers', () => {
    const readers: readonly ((bytes: Uint8Array) => unknown)[] = [
      readMlsMessage,
      readCommit,
      readWelcome,
      (bytes) => readGroupInfo(Buffer.concat([bytes, Buffer.alloc(100)])),
      unwrapPadded,
      (bytes) => readGroupMessage(bytes, expected()),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(messages)),
        fc.nat({ max: 200 }),
        fc.uint8Array({ maxLength: 300 }),
        (message, keep, random) => {
          const bytes = Buffer.concat([message.subarray(0, keep), random]);
          for (const read of readers) {
            try {
              read(bytes);
            } catch (error) {
              expect(error).toBeInstanceOf(MlsFormatError);
            }
          }
        },
      ),
      PROPERTY,
    );
  });

  it('reads the same fields from a message that ts-mls has encoded again', () => {
    for (const bytes of Object.values(messages)) {
      const message = decodeMlsMessage(bytes, 0)?.[0];
      if (message === undefined) throw new Error('not decoded');
      expect(hex(encodeMlsMessage(message))).toBe(hex(bytes));
    }
  });
});
