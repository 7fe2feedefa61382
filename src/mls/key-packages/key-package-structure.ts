import type { ByteReader } from '../encoding/byte-reader.ts';
import { type Extension, LEAF_NODE_SOURCE, type LeafNode, readExtensions, readLeafNode } from './leaf-node.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';

/** The only protocol version that RFC 9420 section 6 defines. */
export const PROTOCOL_VERSION_MLS10 = 1;

/** A parsed KeyPackage (RFC 9420 section 10). Byte arrays are views on the input. */
export interface KeyPackageStructure {
  readonly cipherSuite: number;
  readonly initKey: Uint8Array;
  readonly leafNode: LeafNode;
  /** The KeyPackageTBS, which is everything before the signature. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads `ProtocolVersion version` and refuses every version except mls10. */
export function expectMls10(reader: ByteReader): void {
  if (reader.uint16() !== PROTOCOL_VERSION_MLS10) throw new MlsFormatError('The MLS protocol version is not mls10.');
}

/** Reads a KeyPackage and calls `onExtension` with each of its extensions. */
export function readKeyPackageStructure(
  reader: ByteReader,
  onExtension?: (extension: Extension) => void,
): KeyPackageStructure {
  const start = reader.offset;
  expectMls10(reader);
  const cipherSuite = reader.uint16();
  const initKey = reader.opaque();
  const leafNode = readLeafNode(reader, LEAF_NODE_SOURCE.keyPackage);
  readExtensions(reader, onExtension);
  const signedBytes = reader.since(start);
  return { cipherSuite, initKey, leafNode, signedBytes, signature: reader.opaque() };
}
