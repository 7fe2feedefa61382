import { hash as digest } from 'node:crypto';

import { required } from '#platform/errors.ts';
import { yieldToEventLoop } from '#platform/process/yield-to-event-loop.ts';

import type { SuiteHash } from '../cipher-suites.ts';
import type { LeafNode } from '../key-packages/leaf-node.ts';
import { NODE_TYPE, type ParentNode, type RatchetTree } from './ratchet-tree.ts';

/** Bytes that are hashed in about 2 ms, after which the function yields to the event loop. */
const SLICE_SIZE_BYTES = 1_048_576;
/** Fixed cost of one digest call, expressed as the number of bytes that are hashed in the same time. */
const NODE_COST_BYTES = 2_560;

function leafInput(index: number, leaf: LeafNode | undefined): Buffer {
  const head = Buffer.of(NODE_TYPE.leaf, 0, 0, 0, 0, leaf === undefined ? 0 : 1);
  head.writeUInt32BE(index, 1);
  return leaf === undefined ? head : Buffer.concat([head, leaf.bytes]);
}

/**
 * Encodes a digest as `opaque<V>`. The length has one octet for digests below 64 bytes, and two octets for digests of
 * 64 bytes.
 */
function opaqueDigest(bytes: Buffer): Buffer[] {
  return [bytes.length < 64 ? Buffer.of(bytes.length) : Buffer.of(0x40, bytes.length), bytes];
}

function parentInput(parent: ParentNode | undefined, left: Buffer, right: Buffer): Buffer {
  const node = parent === undefined ? [Buffer.of(0)] : [Buffer.of(1), parent.bytes];
  return Buffer.concat([Buffer.of(NODE_TYPE.parent), ...node, ...opaqueDigest(left), ...opaqueDigest(right)]);
}

/**
 * Computes the tree hash of the root (RFC 9420 section 7.8) from the leaves up. Yields to the event loop after each
 * MiB, because the tree of a large group with post-quantum keys has 10 MiB.
 */
export async function ratchetTreeHash(tree: RatchetTree, hash: SuiteHash): Promise<Buffer> {
  let sliceSizeBytes = 0;
  const digestOf = async (input: Buffer): Promise<Buffer> => {
    sliceSizeBytes += input.length + NODE_COST_BYTES;
    if (sliceSizeBytes > SLICE_SIZE_BYTES) {
      sliceSizeBytes = 0;
      await yieldToEventLoop();
    }
    return digest(hash, input, 'buffer');
  };
  let level: Buffer[] = [];
  for (const [index, leaf] of tree.leaves.entries()) level.push(await digestOf(leafInput(index, leaf)));
  // The first parent of a level is entry `step - 1`, and the next ones follow at a distance of `2 * step`.
  for (let step = 1; level.length > 1; step *= 2) {
    const above: Buffer[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const parent = tree.parents[step - 1 + at * step];
      const left = required(level[at], 'a node');
      const right = required(level[at + 1], 'a node');
      above.push(await digestOf(parentInput(parent, left, right)));
    }
    level = above;
  }
  return required(level[0], 'the root');
}
