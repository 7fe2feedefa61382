import fc from 'fast-check';
import { encodeGroupInfo } from 'ts-mls/groupInfo.js';
import { beforeAll, describe, expect, it } from 'vitest';

import { cipherSuiteNumber } from '#mls/cipher-suites.ts';
import { findGroupInfoMismatch, type GroupInfoMismatch } from '#mls/group-info/group-info-mismatch.ts';
import { readGroupInfo } from '#mls/group-info/group-info.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';
import { required } from '#platform/errors.ts';

import { createGroupWithHistory, type GroupWithHistory } from '../support/mls/group-with-history.ts';
import { decodeGroupInfo, inconsistentGroupInfos, treeOf } from '../support/mls/inconsistent-group-infos.ts';
import { decodeMessage, didOf } from '../support/mls/mls-decoding.ts';

const suites = [
  'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519',
  'MLS_128_DHKEMP256_AES128GCM_SHA256_P256',
  'MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519',
  'MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448',
  'MLS_256_DHKEMP521_AES256GCM_SHA512_P521',
  'MLS_256_DHKEMP384_AES256GCM_SHA384_P384',
  'MLS_256_XWING_AES256GCM_SHA512_Ed25519',
  'MLS_256_MLKEM768_CHACHA20POLY1305_SHA384_Ed25519',
  'MLS_256_MLKEM1024_AES256GCM_SHA512_MLDSA87',
] as const;

type Group = GroupWithHistory & { readonly cipherSuite: number };

type Outcome = GroupInfoMismatch | 'format' | 'valid';

async function checkGroupInfo(
  bytes: Uint8Array,
  group: { groupId: Uint8Array; cipherSuite: number },
): Promise<Outcome> {
  try {
    return (await findGroupInfoMismatch(readGroupInfo(bytes), group)) ?? 'valid';
  } catch (error) {
    if (error instanceof MlsFormatError) return 'format';
    throw error;
  }
}

function bareForm(message: Uint8Array): Uint8Array {
  const decoded = decodeMessage(message);
  if (decoded.wireformat !== 'mls_group_info') throw new TypeError('not a GroupInfo');
  return encodeGroupInfo(decoded.groupInfo);
}

describe.each(suites)('%s', (suiteName) => {
  let group: Group;
  beforeAll(async () => {
    const cipherSuite = required(cipherSuiteNumber(suiteName), 'the suite');
    group = { ...(await createGroupWithHistory(suiteName)), cipherSuite };
  }, 60_000);

  it('accepts the GroupInfos that members export in every epoch, and reads the same tree as ts-mls', async () => {
    for (const message of group.groupInfos) {
      expect(await checkGroupInfo(message, group)).toBe('valid');
      const theirs = treeOf(decodeGroupInfo(message));
      const { tree } = readGroupInfo(message);
      const dids = tree.leaves.map((leaf) => leaf && Buffer.from(leaf.basicIdentity ?? []).toString());
      const expected = theirs.flatMap((node, at) =>
        at % 2 === 0 ? [node?.nodeType === 'leaf' ? didOf(node.leaf) : undefined] : [],
      );
      expect(dids).toEqual(expected);
    }
  });

  it('reads both forms, and wraps both into the same MLSMessage', async () => {
    for (const message of group.groupInfos) {
      const bare = bareForm(message);
      expect(await checkGroupInfo(bare, group)).toBe('valid');
      for (const bytes of [bare, message]) {
        expect(wrapInMlsMessage(readGroupInfo(bytes).bare, WIRE_FORMAT.groupInfo).equals(message)).toBe(true);
      }
    }
  });

  it('accepts an external key with the length prefix of RFC 9420', async () => {
    const truth = decodeGroupInfo(await group.creator.exportGroupInfo());
    const extensions = truth.extensions.map((extension) => {
      if (extension.extensionType !== 'external_pub') return extension;
      const { length } = extension.extensionData;
      const head = length < 64 ? [length] : [0x40 | (length >> 8), length & 0xff];
      return { ...extension, extensionData: Buffer.concat([Buffer.from(head), extension.extensionData]) };
    });
    expect(await checkGroupInfo(await group.creator.signGroupInfo({ ...truth, extensions }), group)).toBe('valid');
  });

  it('refuses every inconsistent GroupInfo that a member could sign', async () => {
    const truth = decodeGroupInfo(await group.creator.exportGroupInfo());
    const tree = treeOf(truth);
    expect(tree.some((node, at) => at % 2 === 0 && node === undefined)).toBe(true);
    expect(tree.some((node) => node?.nodeType === 'parent' && node.parent.unmergedLeaves.length > 0)).toBe(true);
    const found: Record<string, Outcome> = {};
    for (const { name, make } of inconsistentGroupInfos) {
      found[name] = await checkGroupInfo(await group.creator.signGroupInfo(make(truth)), group);
    }
    expect(found).toEqual(Object.fromEntries(inconsistentGroupInfos.map(({ name, mismatch }) => [name, mismatch])));
  });

  it('refuses a signature of another member or another epoch, and an empty one', async () => {
    const truth = decodeGroupInfo(await group.creator.exportGroupInfo());
    const byOther = await group.anna.signGroupInfo(truth);
    const earlier = required(group.groupInfos.at(-4), 'an earlier epoch');
    const signatureOf = (message: Uint8Array): Uint8Array => {
      const decoded = decodeMessage(message);
      return decoded.wireformat === 'mls_group_info' ? decoded.groupInfo.signature : new Uint8Array();
    };
    expect(await checkGroupInfo(byOther, group)).toBe('signature');
    for (const signature of [signatureOf(earlier), new Uint8Array(), new Uint8Array(64), new Uint8Array(4_627)]) {
      expect(await checkGroupInfo(encodeGroupInfo({ ...truth, signature }), group)).toBe('signature');
    }
  });

  it('refuses a GroupInfo of another group or suite', async () => {
    const message = await group.creator.exportGroupInfo();
    const groupId = group.groupId.map((byte) => byte ^ 1);
    expect(await checkGroupInfo(message, { ...group, groupId })).toBe('otherGroup');
    expect(await checkGroupInfo(message, { ...group, cipherSuite: group.cipherSuite === 1 ? 2 : 1 })).toBe(
      'otherSuite',
    );
    expect(await checkGroupInfo(message, { ...group, cipherSuite: 0xf00 })).toBe('unknownSuite');
  });

  it('refuses a GroupInfo with any byte changed, truncated at any length, or extended', async () => {
    const message = Buffer.from(await group.creator.exportGroupInfo());
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat({ max: message.length - 1 }), fc.nat({ max: 400 })),
        fc.integer({ min: 1, max: 255 }),
        async (at, mask) => {
          const bytes = Buffer.from(message);
          bytes[at] = (bytes[at] ?? 0) ^ mask;
          expect(await checkGroupInfo(bytes, group)).not.toBe('valid');
          expect(await checkGroupInfo(message.subarray(0, at), group)).toBe('format');
          expect(await checkGroupInfo(Buffer.concat([message, bytes.subarray(0, mask)]), group)).toBe('format');
        },
      ),
      { numRuns: 300 },
    );
  });
});
