import { limits } from '#platform/limits.ts';

import type { ByteReader } from '../encoding/byte-reader.ts';
import { expectMls10 } from '../key-packages/key-package-structure.ts';
import { type Extension, readExtensions } from '../key-packages/leaf-node.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { type RatchetTree, readRatchetTree } from './ratchet-tree.ts';
import { readWrappedOrBare, WIRE_FORMAT } from '../encoding/wrapped-structure.ts';

/** Types of the GroupInfo extensions that the service reads (RFC 9420 section 17.3). */
export const GROUP_INFO_EXTENSION = { ratchetTree: 2, externalPub: 4 } as const;

/** A parsed GroupContext (RFC 9420 section 8.1). Byte arrays are views on the input. */
export interface GroupContext {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly cipherSuite: number;
  /** The bytes of the whole GroupContext. */
  readonly contextBytes: Uint8Array;
  readonly treeHash: Uint8Array;
  readonly confirmedTranscriptHash: Uint8Array;
  readonly contextExtensions: readonly Extension[];
}

/** A parsed GroupInfo (RFC 9420 section 12.4.3). Byte arrays are views on the input. */
export interface GroupInfoStructure extends GroupContext {
  /** The extensions of the GroupInfo, which are not those of its GroupContext. */
  readonly extensions: readonly Extension[];
  readonly confirmationTag: Uint8Array;
  /** Leaf index of the signer. */
  readonly signer: number;
  /** The GroupInfoTBS, which is everything before the signature. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** A parsed GroupInfo that contains the ratchet tree of the group. */
export interface GroupInfo extends GroupInfoStructure {
  readonly tree: RatchetTree;
  /** The GroupInfo without the MLSMessage header. */
  readonly bare: Uint8Array;
}

/** Prevents lists of millions of extensions. About 15 types are registered. */
const EXTENSIONS_MAX = 256;

function listExtensions(reader: ByteReader): Extension[] {
  const extensions: Extension[] = [];
  readExtensions(reader, (extension) => {
    if (extensions.push(extension) > EXTENSIONS_MAX) throw new MlsFormatError('The GroupInfo has too many extensions.');
  });
  return extensions;
}

function readGroupContext(reader: ByteReader): GroupContext {
  const start = reader.offset;
  expectMls10(reader);
  const cipherSuite = reader.uint16();
  const groupId = reader.opaque();
  const epoch = reader.epoch();
  const treeHash = reader.opaque();
  const confirmedTranscriptHash = reader.opaque();
  const contextExtensions = listExtensions(reader);
  const contextBytes = reader.since(start);
  return { groupId, epoch, cipherSuite, contextBytes, treeHash, confirmedTranscriptHash, contextExtensions };
}

export function readGroupInfoBody(reader: ByteReader): GroupInfoStructure {
  const start = reader.offset;
  const context = readGroupContext(reader);
  const extensions = listExtensions(reader);
  const confirmationTag = reader.opaque();
  const signer = reader.uint32();
  const signedBytes = reader.since(start);
  return { ...context, extensions, confirmationTag, signer, signedBytes, signature: reader.opaque() };
}

/** Reads the tree from the ratchet_tree extension, which may appear only once (RFC 9420 section 13.4). */
function treeOf(extensions: readonly Extension[]): RatchetTree {
  const [found, ...others] = extensions.filter(({ type }) => type === GROUP_INFO_EXTENSION.ratchetTree);
  if (found === undefined) throw new MlsFormatError('The GroupInfo has no ratchet_tree extension.');
  if (others.length > 0) throw new MlsFormatError('The GroupInfo has more than one ratchet_tree extension.');
  return readRatchetTree(found.data);
}

/**
 * Reads a GroupInfo that fills `bytes` exactly, in an MLSMessage or bare, and contains the ratchet tree. Reads only the
 * structure, and `findGroupInfoMismatch` checks hashes and the signature.
 * @throws MlsFormatError on any other input, also on sizes outside `limits.groupInfoSizeBytesMin` and
 * `limits.groupInfoSizeBytesMax`.
 */
export function readGroupInfo(bytes: Uint8Array): GroupInfo {
  if (bytes.length < limits.groupInfoSizeBytesMin || bytes.length > limits.groupInfoSizeBytesMax) {
    throw new MlsFormatError('The GroupInfo is smaller than 100 bytes or larger than 11000000 bytes.');
  }
  const reading = readWrappedOrBare(bytes, { wireFormat: WIRE_FORMAT.groupInfo, readBody: readGroupInfoBody });
  return { ...reading.value, tree: treeOf(reading.value.extensions), bare: reading.bare };
}
