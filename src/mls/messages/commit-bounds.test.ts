import { expect, it } from 'vitest';
import { limits } from '#platform/limits.ts';
import { readCommit } from './framing.ts';

/** Encodes `opaque<V>` or a vector of any length. */
function vector(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  if (bytes.length < 64) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  if (bytes.length < 16_384) length.writeUInt16BE(0x4000 + bytes.length, 2);
  else length.writeUInt32BE(0x8000_0000 + bytes.length);
  return Buffer.concat([bytes.length < 16_384 ? length.subarray(2) : length, bytes]);
}

/** Encodes a member's commit without a path as a PublicMessage (RFC 9420 section 6.2). */
function commitOf(proposals: Buffer): Buffer {
  const head = [Buffer.of(0, 1, 0, 1), vector(Buffer.alloc(16)), Buffer.alloc(8), Buffer.of(1, 0, 0, 0, 0, 0, 3)];
  const tail = [Buffer.of(0), ...[64, 32, 32].map((sizeBytes) => vector(Buffer.alloc(sizeBytes)))];
  return Buffer.concat([...head, vector(proposals), ...tail]);
}

const removals = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => Buffer.of(1, 0, 3, 0, 0, 0, 1)));
const reference = (sizeBytes: number): Buffer => Buffer.concat([Buffer.of(2), vector(Buffer.alloc(sizeBytes))]);

it('reads a commit with the maximum number of proposals and refuses one proposal more', () => {
  const { proposalsPerCommitMax } = limits;
  expect(readCommit(commitOf(removals(proposalsPerCommitMax))).content?.proposals).toHaveLength(proposalsPerCommitMax);
  expect(() => readCommit(commitOf(removals(proposalsPerCommitMax + 1)))).toThrow('more than 6000 proposals');
});

it('refuses references to proposals whose length is not that of a digest', () => {
  for (const sizeBytes of [32, 48, 64]) {
    expect(readCommit(commitOf(reference(sizeBytes))).content?.proposals).toHaveLength(1);
  }
  for (const sizeBytes of [0, 2, 31, 65]) {
    expect(() => readCommit(commitOf(reference(sizeBytes)))).toThrow('not as long as a digest');
  }
});
