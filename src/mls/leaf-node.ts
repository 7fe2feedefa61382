import type { ByteReader } from './byte-reader.ts';
import { MlsFormatError } from './mls-format-error.ts';

/** RFC 9420 section 7.2. */
export const LEAF_NODE_SOURCE = { keyPackage: 1, update: 2, commit: 3 } as const;

const CREDENTIAL_BASIC = 1;
const CREDENTIAL_X509 = 2;

export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** Validity of a leaf that came in a KeyPackage, in seconds since the Unix epoch. */
export interface Lifetime {
  readonly notBeforeSeconds: bigint;
  readonly notAfterSeconds: bigint;
}

export interface LeafNode {
  readonly encryptionKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  /** Identity of a Basic credential; absent for an X.509 one. */
  readonly basicIdentity: Uint8Array | undefined;
  /** Present when the source is `key_package`. */
  readonly lifetime: Lifetime | undefined;
  /** LeafNodeTBS of a `key_package` leaf, whose to-be-signed bytes have no group part. */
  readonly signedBytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads `Extension extensions<V>` and hands each one to `onExtension`. */
export function readExtensions(reader: ByteReader, onExtension?: (extension: Extension) => void): void {
  reader.vector(() => {
    const type = reader.uint16();
    if (onExtension === undefined) reader.skipOpaque();
    else onExtension({ type, data: reader.opaque() });
  });
}

/** Credential, section 5.3. A type that RFC 9420 does not define carries no length, so its end cannot be found. */
function readCredential(reader: ByteReader): Uint8Array | undefined {
  const type = reader.uint16();
  if (type === CREDENTIAL_BASIC) return reader.opaque();
  if (type !== CREDENTIAL_X509) throw new MlsFormatError('The MLS credential type is not known.');
  reader.vector(() => reader.skipOpaque());
  return undefined;
}

/** Capabilities, section 7.2: versions, cipher suites, extensions, proposals, credentials. */
function skipCapabilities(reader: ByteReader): void {
  for (let list = 0; list < 5; list += 1) reader.skipUint16Vector();
}

/**
 * Reads a LeafNode, section 7.2.
 * @param source the only leaf_node_source allowed at this place.
 */
export function readLeafNode(reader: ByteReader, source: number): LeafNode {
  const start = reader.offset;
  const encryptionKey = reader.opaque();
  const signatureKey = reader.opaque();
  const basicIdentity = readCredential(reader);
  skipCapabilities(reader);
  if (reader.uint8() !== source) throw new MlsFormatError('An MLS leaf node has the wrong source for its place.');
  let lifetime: Lifetime | undefined;
  if (source === LEAF_NODE_SOURCE.keyPackage) {
    lifetime = { notBeforeSeconds: reader.uint64(), notAfterSeconds: reader.uint64() };
  } else if (source === LEAF_NODE_SOURCE.commit) {
    reader.skipOpaque(); // parent_hash
  }
  readExtensions(reader);
  const signedBytes = reader.since(start);
  return { encryptionKey, signatureKey, basicIdentity, lifetime, signedBytes, signature: reader.opaque() };
}
