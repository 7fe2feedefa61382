import { expect, it } from 'vitest';

import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { readRatchetTree } from './ratchet-tree.ts';

/**
 * Encodes an optional<Node> with a leaf of `source`, a Basic credential `identity`, one-byte keys and no capabilities.
 */
function leaf(identity: number, source: number): number[] {
  const part: Record<number, number[]> = { 1: Array.from({ length: 16 }, () => 9), 2: [], 3: [1, 0xdd] };
  return [1, 1, 1, 0xaa, 1, 0xbb, 0, 1, 1, identity, 0, 0, 0, 0, 0, source, ...(part[source] ?? []), 0, 1, 0xcc];
}

const blank = [0];

function parent(unmergedLeaves: readonly number[]): number[] {
  return [1, 2, 1, 0xaa, 0, unmergedLeaves.length * 4, ...unmergedLeaves.flatMap((index) => [0, 0, 0, index])];
}

function treeOf(...nodes: readonly (readonly number[])[]): Buffer {
  const bytes = Buffer.from(nodes.flat());
  const length = bytes.length < 64 ? [bytes.length] : [0x40 | (bytes.length >> 8), bytes.length & 0xff];
  return Buffer.concat([Buffer.from(length), bytes]);
}

it('reads leaves of all three sources, parents and blank nodes, and adds the blank nodes at the end', () => {
  const tree = readRatchetTree(treeOf(leaf(1, 1), blank, leaf(2, 2), parent([1]), blank, blank, leaf(3, 3)));
  expect(tree.leaves.map((node) => node?.basicIdentity?.[0])).toEqual([1, 2, undefined, 3]);
  expect(tree.parents.map((node) => node && [...node.unmergedLeaves])).toEqual([undefined, [0, 0, 0, 1], undefined]);
  const trimmed = readRatchetTree(treeOf(leaf(1, 1), blank, leaf(2, 2), blank, leaf(3, 3)));
  expect([trimmed.leafCount, trimmed.leaves.length, trimmed.parents.length]).toEqual([4, 4, 3]);
  expect(readRatchetTree(treeOf(leaf(1, 1))).leafCount).toBe(1);
});

it('returns the bytes of each node that the tree hash is computed over', () => {
  const tree = readRatchetTree(treeOf(leaf(1, 3), parent([]), leaf(2, 1)));
  expect([...(tree.leaves[0]?.bytes ?? [])]).toEqual(leaf(1, 3).slice(2));
  expect([...(tree.parents[0]?.bytes ?? [])]).toEqual(parent([]).slice(2));
});

it.each([
  ['an empty tree', treeOf()],
  ['a tree of blank nodes', treeOf(blank, blank, blank)],
  ['a blank at the end', treeOf(leaf(1, 1), blank)],
  ['a parent in the place of a leaf', treeOf(parent([]))],
  ['a leaf in the place of a parent', treeOf(leaf(1, 1), leaf(2, 1))],
  ['a node of unknown type', treeOf([1, 3, ...leaf(1, 1).slice(2)])],
  ['a presence octet of 2', treeOf([2, ...leaf(1, 1).slice(1)])],
  ['a leaf of unknown source', treeOf(leaf(1, 4))],
  ['leaf indices of three bytes', treeOf(leaf(1, 1), [1, 2, 1, 0xaa, 0, 3, 0, 0, 0], leaf(2, 1))],
  ['a truncated leaf', treeOf(leaf(1, 1).slice(0, -1))],
  ['bytes after the tree', Buffer.concat([treeOf(leaf(1, 1)), Buffer.of(0)])],
  ['more leaves than a group may have', bigBlankTree(65_536)],
])('refuses %s', (_name, bytes) => {
  expect(() => readRatchetTree(bytes)).toThrow(MlsFormatError);
});

function bigBlankTree(blanks: number): Buffer {
  const nodes = Buffer.concat([Buffer.alloc(blanks), Buffer.from(leaf(1, 1))]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(0x8000_0000 + nodes.length);
  return Buffer.concat([head, nodes]);
}
