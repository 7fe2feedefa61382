import { limits } from '#platform/limits.ts';

import type { ByteReader } from './byte-reader.ts';
import { expectMls10 } from './key-package-structure.ts';
import { readExtensions } from './leaf-node.ts';
import { MlsFormatError } from './mls-format-error.ts';
import { readWrappedOrBare, WIRE_FORMAT } from './wrapped-structure.ts';

/** What the service needs of a GroupInfo, RFC 9420 section 12.4.3. */
export interface GroupInfoHeader {
  /** A view on the input. */
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly cipherSuite: number;
}

export function readGroupInfoBody(reader: ByteReader): GroupInfoHeader {
  expectMls10(reader);
  const cipherSuite = reader.uint16();
  const groupId = reader.opaque();
  const epoch = reader.epoch();
  reader.skipOpaque(); // tree_hash
  reader.skipOpaque(); // confirmed_transcript_hash
  readExtensions(reader); // of the GroupContext
  readExtensions(reader); // of the GroupInfo: ratchet_tree, external_pub
  reader.skipOpaque(); // confirmation_tag
  reader.uint32(); // signer
  reader.skipOpaque(); // signature
  return { groupId, epoch, cipherSuite };
}

/**
 * Reads a GroupInfo, in an MLSMessage or bare, that fills `bytes` exactly.
 * @throws MlsFormatError on anything else, also on sizes outside `limits.groupInfoSizeBytesMin` to `…Max`.
 */
export function readGroupInfo(bytes: Uint8Array): GroupInfoHeader {
  if (bytes.length < limits.groupInfoSizeBytesMin || bytes.length > limits.groupInfoSizeBytesMax) {
    throw new MlsFormatError('The GroupInfo has a size that the service does not allow.');
  }
  return readWrappedOrBare(bytes, { wireFormat: WIRE_FORMAT.groupInfo, readBody: readGroupInfoBody });
}
