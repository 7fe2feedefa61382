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

/** The group that a GroupInfo should be of. */
export interface ExpectedGroup {
  readonly groupId: Uint8Array;
  /** Wire number. */
  readonly cipherSuite: number;
}

/** Why a GroupInfo is of no use to somebody who joins by it. */
export type GroupInfoFault =
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

/** RFC 9420 section 13.4: an extension type appears at most once in a list. */
function hasRepeated(extensions: readonly Extension[]): boolean {
  return new Set(extensions.map(({ type }) => type)).size < extensions.length;
}

/** The `opaque<V>` that fills `data`; RFC 9420 section 12.4.3.2 has one in the extension. */
function soleOpaque(data: Uint8Array): Uint8Array | undefined {
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
 * The raw key of the `external_pub` extension; undefined if there is none of the length of the signer's encryption key, which is of the
 * same KEM. ts-mls leaves out the length in front of the key, so both forms are read.
 */
export function readExternalPub(info: GroupInfo): Uint8Array | undefined {
  const data = info.extensions.find(({ type }) => type === GROUP_INFO_EXTENSION.externalPub)?.data;
  const sizeBytes = info.tree.leaves[info.signer]?.encryptionKey.length;
  if (data === undefined || sizeBytes === undefined) return undefined;
  return [soleOpaque(data), data].find((key) => key?.length === sizeBytes);
}

/** RFC 9420 section 8.2: the transcript of a group that nobody has committed to is empty. */
function hasTranscriptHashLength(info: GroupInfo, hashSizeBytes: number): boolean {
  const sizeBytes = info.confirmedTranscriptHash.length;
  return sizeBytes === hashSizeBytes || (sizeBytes === 0 && info.epoch === 0);
}

/** Leaves below entry `index` of `parents`, as a half-open range; the lowest one bit of `index + 1` is half its size. */
function leavesBelow(index: number): { from: number; to: number } {
  const half = (index + 1) & -(index + 1);
  return { from: index + 1 - half, to: index + 1 + half };
}

/** RFC 9420 section 7.1 and 12.4.3.1: ascending, and each a leaf in use below the node. */
function areUnmergedLeavesRight(tree: RatchetTree): boolean {
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

function findCheapFault(info: GroupInfo, expected: ExpectedGroup, suite: CipherSuite): GroupInfoFault | undefined {
  if (Buffer.compare(info.groupId, expected.groupId) !== 0) return 'otherGroup';
  if (info.cipherSuite !== expected.cipherSuite) return 'otherSuite';
  if (hasRepeated(info.extensions) || hasRepeated(info.contextExtensions)) return 'repeatedExtension';
  if (info.tree.leaves[info.signer] === undefined) return 'noSignerLeaf';
  if (!info.extensions.some(({ type }) => type === GROUP_INFO_EXTENSION.externalPub)) return 'noExternalPub';
  if (readExternalPub(info) === undefined) return 'externalPubLength';
  const hashSizeBytes = digestSizeBytes(suite.hash);
  if (info.confirmationTag.length !== hashSizeBytes) return 'confirmationTagLength';
  if (!hasTranscriptHashLength(info, hashSizeBytes)) return 'transcriptHashLength';
  return areUnmergedLeavesRight(info.tree) ? undefined : 'unmergedLeaves';
}

function isSignedBy(leaf: LeafNode, info: GroupInfo, suite: CipherSuite): Promise<boolean> {
  const content = signContent('GroupInfoTBS', info.signedBytes);
  return verifyLeafSignatures(suite.signature, leaf.signatureKey, [{ content, signature: info.signature }]);
}

/**
 * Checks what RFC 9420 section 12.4.3.1 asks of a joiner as far as it can be checked without secrets: group and suite, extensions,
 * the signer's leaf and signature, lengths, the tree hash. Signatures of the other leaves and parent hashes are left to the
 * joiner: they cost a signature check for each member, and the signer vouches for the tree. For a suite that the service does not
 * know it can check none of that, so such a GroupInfo has a fault.
 * @returns the first fault found.
 */
export async function findGroupInfoFault(
  info: GroupInfo,
  expected: ExpectedGroup,
): Promise<GroupInfoFault | undefined> {
  const suite = cipherSuite(expected.cipherSuite);
  if (suite === undefined) return 'unknownSuite';
  const fault = findCheapFault(info, expected, suite);
  if (fault !== undefined) return fault;
  await yieldToEventLoop();
  const leaf = required(info.tree.leaves[info.signer], 'the leaf of the signer');
  if (!(await isSignedBy(leaf, info, suite))) return 'signature';
  const treeHash = await ratchetTreeHash(info.tree, suite.hash);
  return treeHash.equals(info.treeHash) ? undefined : 'treeHash';
}
