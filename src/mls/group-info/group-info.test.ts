import { expect, it } from 'vitest';

import { limits } from '#platform/limits.ts';

import { readGroupInfo } from './group-info.ts';

/** A tree of one leaf with keys of one byte, the Basic credential `ef` and the source `update`. */
const tree = Buffer.from([1, 1, 1, 0xaa, 1, 0xbb, 0, 1, 1, 0xef, 0, 0, 0, 0, 0, 2, 0, 1, 0xcc]);
const treeExtension = Buffer.from([0, 2, tree.length + 1, tree.length, ...tree]);

/** Creates a bare GroupInfo of group abcd at epoch 9 with a signature of `signatureSizeBytes` (below 64). */
function groupInfo(suite: number, signatureSizeBytes: number, extensions: Buffer = treeExtension): Buffer {
  const head = Buffer.from([0, 1, 0, suite, 2, 0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 9]);
  const hashes = Buffer.concat([Buffer.of(32), Buffer.alloc(32), Buffer.of(0)]);
  const tail = Buffer.from([0, 0, 0, 0, 3, signatureSizeBytes]);
  const lists = [Buffer.of(0, extensions.length), extensions];
  return Buffer.concat([head, hashes, ...lists, tail, Buffer.alloc(signatureSizeBytes, 7)]);
}

it('distinguishes a bare GroupInfo of suite 4 from a GroupInfo in an MLSMessage, whose first bytes are equal', () => {
  const bare = groupInfo(4, 60);
  const wrapped = Buffer.concat([Buffer.of(0, 1, 0, 4), bare]);
  expect(bare.subarray(0, 4)).toEqual(wrapped.subarray(0, 4));
  for (const bytes of [bare, wrapped]) {
    const { tree: read, ...fields } = readGroupInfo(bytes);
    expect(fields).toMatchObject({ groupId: Buffer.of(0xab, 0xcd), epoch: 9, cipherSuite: 4, signer: 3 });
    expect(read.leaves.map((leaf) => leaf?.basicIdentity)).toEqual([Buffer.of(0xef)]);
  }
});

it('refuses sizes outside the limits', () => {
  const fixedSizeBytes = groupInfo(1, 0).length;
  const smallest = groupInfo(1, limits.groupInfoSizeBytesMin - fixedSizeBytes);
  expect(smallest).toHaveLength(limits.groupInfoSizeBytesMin);
  readGroupInfo(smallest);
  expect(() => readGroupInfo(groupInfo(1, limits.groupInfoSizeBytesMin - fixedSizeBytes - 1))).toThrow('smaller');
  expect(() => readGroupInfo(Buffer.alloc(limits.groupInfoSizeBytesMax + 1))).toThrow('larger');
});

it('names the reason when it refuses an MLSMessage with trailing bytes', () => {
  const wrapped = Buffer.concat([Buffer.of(0, 1, 0, 4), groupInfo(1, 60), Buffer.of(0)]);
  expect(() => readGroupInfo(wrapped)).toThrow('Bytes follow');
});

it('names the reason when the ratchet tree is missing or appears twice', () => {
  expect(() => readGroupInfo(groupInfo(1, 60, Buffer.alloc(0)))).toThrow('has no ratchet_tree');
  const twice = Buffer.concat([treeExtension, treeExtension]);
  expect(() => readGroupInfo(groupInfo(1, 60, twice))).toThrow('more than one ratchet_tree');
});
