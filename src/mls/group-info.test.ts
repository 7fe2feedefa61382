import { expect, it } from 'vitest';

import { limits } from '#platform/limits.ts';

import { readGroupInfo } from './group-info.ts';

/** A bare GroupInfo of group abcd at epoch 9, with a signature of `signatureSizeBytes` (below 64). */
function groupInfo(suite: number, signatureSizeBytes: number): Buffer {
  const head = Buffer.from([0, 1, 0, suite, 2, 0xab, 0xcd, 0, 0, 0, 0, 0, 0, 0, 9]);
  const hashes = Buffer.concat([Buffer.of(32), Buffer.alloc(32), Buffer.of(0)]);
  const tail = Buffer.from([0, 0, 0, 0, 0, 0, 3, signatureSizeBytes]);
  return Buffer.concat([head, hashes, tail, Buffer.alloc(signatureSizeBytes, 7)]);
}

it('tells a bare GroupInfo of suite 4 from one in an MLSMessage, whose first bytes are the same', () => {
  const bare = groupInfo(4, 60);
  const wrapped = Buffer.concat([Buffer.of(0, 1, 0, 4), bare]);
  expect(bare.subarray(0, 4)).toEqual(wrapped.subarray(0, 4));
  for (const bytes of [bare, wrapped]) {
    expect(readGroupInfo(bytes)).toEqual({ groupId: Buffer.of(0xab, 0xcd), epoch: 9, cipherSuite: 4 });
  }
});

it('refuses sizes outside the limits', () => {
  const fixedSizeBytes = groupInfo(1, 0).length;
  const smallest = groupInfo(1, limits.groupInfoSizeBytesMin - fixedSizeBytes);
  expect(smallest).toHaveLength(limits.groupInfoSizeBytesMin);
  readGroupInfo(smallest);
  expect(() => readGroupInfo(groupInfo(1, limits.groupInfoSizeBytesMin - fixedSizeBytes - 1))).toThrow('size');
  expect(() => readGroupInfo(Buffer.alloc(limits.groupInfoSizeBytesMax + 1))).toThrow('size');
});

it('says why an MLSMessage with trailing bytes is refused', () => {
  const wrapped = Buffer.concat([Buffer.of(0, 1, 0, 4), groupInfo(1, 60), Buffer.of(0)]);
  expect(() => readGroupInfo(wrapped)).toThrow('Bytes follow');
});
