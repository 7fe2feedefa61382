import { limits } from '#platform/limits.ts';

import { ByteReader } from '../encoding/byte-reader.ts';
import { type LeafNode, readLeafNode } from '../key-packages/leaf-node.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';

/** Values of NodeType (RFC 9420 section 7.8). */
export const NODE_TYPE = { leaf: 1, parent: 2 } as const;

/** A parsed ParentNode (RFC 9420 section 7.1). Byte arrays are views on the input. */
export interface ParentNode {
  /** The bytes of the whole ParentNode, from which the tree hash is computed. */
  readonly bytes: Uint8Array;
  /** Leaf indices as `uint32` of four bytes each, which `findGroupInfoMismatch` checks. */
  readonly unmergedLeaves: Uint8Array;
}

/** A ratchet tree of full size, with the blank nodes that the extension omits at the end. */
export interface RatchetTree {
  /** Number of leaves including blank ones, a power of two. */
  readonly leafCount: number;
  /** `leafCount` entries by leaf index, of which undefined is a blank leaf. */
  readonly leaves: readonly (LeafNode | undefined)[];
  /** `leafCount - 1` entries, of which entry `i` is node `2 i + 1` of RFC 9420 appendix C. */
  readonly parents: readonly (ParentNode | undefined)[];
}

const NODES_MAX = 2 * limits.leavesPerGroupMax - 1;

function readParentNode(reader: ByteReader): ParentNode {
  const start = reader.offset;
  reader.skipOpaque(); // encryption_key
  reader.skipOpaque(); // parent_hash
  const unmergedLeaves = reader.opaque();
  if (unmergedLeaves.length % 4 !== 0) {
    throw new MlsFormatError('The length of an MLS list of leaf indices is not a multiple of 4 bytes.');
  }
  return { bytes: reader.since(start), unmergedLeaves };
}

/** Reads a node and checks its type. Even nodes are leaves, and odd nodes are parents (RFC 9420 section 12.4.3.3). */
function readNode(reader: ByteReader, isLeaf: boolean): LeafNode | ParentNode {
  const expected = isLeaf ? NODE_TYPE.leaf : NODE_TYPE.parent;
  if (reader.uint8() !== expected) throw new MlsFormatError('A node of the ratchet tree has the wrong type.');
  return isLeaf ? readLeafNode(reader, 'any') : readParentNode(reader);
}

function powerOfTwoFrom(count: number): number {
  let size = 1;
  while (size < count) size *= 2;
  return size;
}

/**
 * Reads the data of a `ratchet_tree` extension (RFC 9420 section 12.4.3.3), whose last node must not be blank. Reads
 * only the structure, so the caller has to compare `ratchetTreeHash` with the tree hash of the group.
 * @throws MlsFormatError on any other input, also on more than `limits.leavesPerGroupMax` leaves.
 */
export function readRatchetTree(data: Uint8Array): RatchetTree {
  const reader = new ByteReader(data);
  const leaves: (LeafNode | undefined)[] = [];
  const parents: (ParentNode | undefined)[] = [];
  let isLastBlank = true;
  reader.vector(() => {
    const isLeaf = leaves.length === parents.length;
    if (leaves.length + parents.length === NODES_MAX) throw new MlsFormatError('The ratchet tree has too many leaves.');
    isLastBlank = !reader.isPresent();
    const node = isLastBlank ? undefined : readNode(reader, isLeaf);
    if (isLeaf) leaves.push(node as LeafNode | undefined);
    else parents.push(node as ParentNode | undefined);
  });
  reader.expectEnd();
  if (isLastBlank) throw new MlsFormatError('The ratchet tree is empty or ends with a blank node.');
  const leafCount = powerOfTwoFrom(Math.max(leaves.length, parents.length + 1));
  while (leaves.length < leafCount) leaves.push(undefined);
  while (parents.length < leafCount - 1) parents.push(undefined);
  return { leafCount, leaves, parents };
}
