import type { ByteReader } from '../encoding/byte-reader.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';

/** Values of LeafNodeSource (RFC 9420 section 7.2). */
export const LEAF_NODE_SOURCE = { keyPackage: 1, update: 2, commit: 3 } as const;

export type LeafNodeSource = (typeof LEAF_NODE_SOURCE)[keyof typeof LEAF_NODE_SOURCE];

const CREDENTIAL_BASIC = 1;
const CREDENTIAL_X509 = 2;

export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** Lifetime of a leaf in a KeyPackage, in seconds since the Unix epoch. */
export interface Lifetime {
  readonly notBeforeSeconds: bigint;
  readonly notAfterSeconds: bigint;
}

export interface LeafNode {
  readonly encryptionKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  /** Identity of a Basic credential, or undefined for an X.509 credential. */
  readonly basicIdentity: Uint8Array | undefined;
  /** Undefined unless the leaf_node_source is `key_package`. */
  readonly lifetime: Lifetime | undefined;
  /**
   * The LeafNodeTBS of a `key_package` leaf. For other sources the signature also covers group_id and leaf_index, which
   * are not included.
   */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
  /** The bytes of the whole LeafNode, from which the tree hash is computed. */
  readonly bytes: Uint8Array;
}

/** Reads `Extension extensions<V>` and calls `onExtension` with each extension. */
export function readExtensions(reader: ByteReader, onExtension?: (extension: Extension) => void): void {
  reader.vector(() => {
    const type = reader.uint16();
    if (onExtension === undefined) reader.skipOpaque();
    else onExtension({ type, data: reader.opaque() });
  });
}

/**
 * Reads a Credential (RFC 9420 section 5.3) and returns the identity of a Basic one. Refuses types that RFC 9420 does
 * not define, because their length is unknown.
 */
function readCredential(reader: ByteReader): Uint8Array | undefined {
  const type = reader.uint16();
  if (type === CREDENTIAL_BASIC) return reader.opaque();
  if (type !== CREDENTIAL_X509) throw new MlsFormatError('The MLS credential type is not known.');
  reader.vector(() => reader.skipOpaque());
  return undefined;
}

/**
 * Skips Capabilities (RFC 9420 section 7.2), which are the lists of versions, cipher suites, extensions, proposals and
 * credentials.
 */
function skipCapabilities(reader: ByteReader): void {
  for (let list = 0; list < 5; list += 1) reader.skipUint16Vector();
}

/**
 * Reads the fields that depend on leaf_node_source.
 * @returns the lifetime of a `key_package` leaf, or undefined for other leaves.
 */
function readSourcePart(reader: ByteReader, source: number): Lifetime | undefined {
  switch (source) {
    case LEAF_NODE_SOURCE.keyPackage:
      return { notBeforeSeconds: reader.uint64(), notAfterSeconds: reader.uint64() };
    case LEAF_NODE_SOURCE.update:
      return undefined;
    case LEAF_NODE_SOURCE.commit:
      reader.skipOpaque(); // parent_hash
      return undefined;
    default:
      throw new MlsFormatError('The source of an MLS leaf node is not known.');
  }
}

/**
 * Reads a LeafNode (RFC 9420 section 7.2).
 * @param allowed the leaf_node_source that the leaf must have, or `any` for a leaf of a ratchet tree.
 */
export function readLeafNode(reader: ByteReader, allowed: LeafNodeSource | 'any'): LeafNode {
  const start = reader.offset;
  const encryptionKey = reader.opaque();
  const signatureKey = reader.opaque();
  const basicIdentity = readCredential(reader);
  skipCapabilities(reader);
  const source = reader.uint8();
  if (allowed !== 'any' && source !== allowed) {
    throw new MlsFormatError('An MLS leaf node has the wrong source for its place.');
  }
  const lifetime = readSourcePart(reader, source);
  readExtensions(reader);
  const signedBytes = reader.since(start);
  const signature = reader.opaque();
  return { encryptionKey, signatureKey, basicIdentity, lifetime, signedBytes, signature, bytes: reader.since(start) };
}
