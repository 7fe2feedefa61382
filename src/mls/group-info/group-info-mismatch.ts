import { required } from '#platform/errors.ts';
import { yieldToEventLoop } from '#platform/process/yield-to-event-loop.ts';

import { ByteReader } from '../encoding/byte-reader.ts';
import { type CipherSuite, cipherSuite, digestSizeBytes } from '../cipher-suites.ts';
import { GROUP_INFO_EXTENSION, type GroupInfo } from './group-info.ts';
import { signContent } from '../encoding/labelled.ts';
import type { Extension, LeafNode } from '../key-packages/leaf-node.ts';
import { verifyLeafSignatures } from '../key-packages/leaf-signature.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import type { RatchetTree } from './ratchet-tree.ts';
import { ratchetTreeHash } from './tree-hash.ts';

/** The group that a GroupInfo must belong to. */
export interface ExpectedGroup {
  readonly groupId: Uint8Array;
  /** Wire number of the group's suite. */
  readonly cipherSuite: number;
}

/** The reason why a client cannot join with a GroupInfo. */
export type GroupInfoMismatch =
  | 'otherGroup'
  | 'otherSuite'
  | 'unknownSuite'
  | 'repeatedExtension'
  | 'noExternalPub'
  | 'externalPubLength'
  | 'confirmationTagLength'
  | 'transcriptHashLength'
  | 'noSignerLeaf'
  | 'unmergedLeaves'
  | 'signature'
  | 'treeHash';

/** Returns whether an extension type appears twice in a list, which RFC 9420 section 13.4 forbids. */
function hasRepeated(extensions: readonly Extension[]): boolean {
  return new Set(extensions.map(({ type }) => type)).size < extensions.length;
}

/**
 * Reads `data` as a single `opaque<V>` (RFC 9420 section 12.4.3.2), or returns undefined if `data` has another form.
 */
function readSingleOpaque(data: Uint8Array): Uint8Array | undefined {
  try {
    const reader = new ByteReader(data);
    const value = reader.opaque();
    reader.expectEnd();
    return value;
  } catch (error) {
    if (error instanceof MlsFormatError) return undefined;
    throw error;
  }
}

/**
 * Returns the raw key of the `external_pub` extension. Returns undefined if the key is not as long as the signer's
 * encryption key, which is of the same KEM. The length prefix may be missing, because ts-mls writes none.
 */
export function readExternalPub(info: GroupInfo): Uint8Array | undefined {
  const data = info.extensions.find(({ type }) => type === GROUP_INFO_EXTENSION.externalPub)?.data;
  const sizeBytes = info.tree.leaves[info.signer]?.encryptionKey.length;
  if (data === undefined || sizeBytes === undefined) return undefined;
  return [readSingleOpaque(data), data].find((key) => key?.length === sizeBytes);
}

/**
 * Returns whether the transcript hash is as long as a digest, or is empty in epoch 0, before the first commit (RFC 9420
 * section 8.2).
 */
function hasTranscriptHashLength(info: GroupInfo, hashSizeBytes: number): boolean {
  const sizeBytes = info.confirmedTranscriptHash.length;
  return sizeBytes === hashSizeBytes || (sizeBytes === 0 && info.epoch === 0);
}

/**
 * Returns the leaves below entry `index` of `parents` as a range that excludes `to`. Half its size is the lowest set
 * bit of `index + 1`.
 */
function leavesBelow(index: number): { from: number; to: number } {
  const half = (index + 1) & -(index + 1);
  return { from: index + 1 - half, to: index + 1 + half };
}

/**
 * Returns whether the unmerged leaves of each node are ascending and are non-blank leaves below the node (RFC 9420
 * sections 7.1 and 12.4.3.1).
 */
function areUnmergedLeavesValid(tree: RatchetTree): boolean {
  return tree.parents.every((parent, index) => {
    if (parent === undefined) return true;
    const { from, to } = leavesBelow(index);
    const bytes = Buffer.from(parent.unmergedLeaves);
    let next = from;
    for (let at = 0; at < bytes.length; at += 4) {
      const leaf = bytes.readUInt32BE(at);
      if (leaf < next || leaf >= to || tree.leaves[leaf] === undefined) return false;
      next = leaf + 1;
    }
    return true;
  });
}

function findFieldMismatch(
  info: GroupInfo,
  expected: ExpectedGroup,
  suite: CipherSuite,
): GroupInfoMismatch | undefined {
  if (Buffer.compare(info.groupId, expected.groupId) !== 0) return 'otherGroup';
  if (info.cipherSuite !== expected.cipherSuite) return 'otherSuite';
  if (hasRepeated(info.extensions) || hasRepeated(info.contextExtensions)) return 'repeatedExtension';
  if (info.tree.leaves[info.signer] === undefined) return 'noSignerLeaf';
  if (!info.extensions.some(({ type }) => type === GROUP_INFO_EXTENSION.externalPub)) return 'noExternalPub';
  if (readExternalPub(info) === undefined) return 'externalPubLength';
  const hashSizeBytes = digestSizeBytes(suite.hash);
  if (info.confirmationTag.length !== hashSizeBytes) return 'confirmationTagLength';
  if (!hasTranscriptHashLength(info, hashSizeBytes)) return 'transcriptHashLength';
  return areUnmergedLeavesValid(info.tree) ? undefined : 'unmergedLeaves';
}

function isSignedBy(leaf: LeafNode, info: GroupInfo, suite: CipherSuite): Promise<boolean> {
  const content = signContent('GroupInfoTBS', info.signedBytes);
  return verifyLeafSignatures(suite.signature, leaf.signatureKey, [{ content, signature: info.signature }]);
}

/**
 * Runs the checks of RFC 9420 section 12.4.3.1 that need no secrets. Checks group and suite, extensions, the signer's
 * leaf and signature, lengths, and the tree hash. A GroupInfo of an unknown suite is a mismatch, because it cannot be
 * checked. The joiner checks parent hashes and the signatures of the other leaves, because they cost one signature
 * check for each member.
 * @returns the first mismatch, or undefined.
 */
export async function findGroupInfoMismatch(
  info: GroupInfo,
  expected: ExpectedGroup,
): Promise<GroupInfoMismatch | undefined> {
  const suite = cipherSuite(expected.cipherSuite);
  if (suite === undefined) return 'unknownSuite';
  const mismatch = findFieldMismatch(info, expected, suite);
  if (mismatch !== undefined) return mismatch;
  await yieldToEventLoop();
  const leaf = required(info.tree.leaves[info.signer], 'the leaf of the signer');
  if (!(await isSignedBy(leaf, info, suite))) return 'signature';
  const treeHash = await ratchetTreeHash(info.tree, suite.hash);
  return treeHash.equals(info.treeHash) ? undefined : 'treeHash';
}
