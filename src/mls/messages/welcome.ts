import { limits } from '#platform/limits.ts';

import type { ByteReader } from '../encoding/byte-reader.ts';
import { MlsFormatError } from '../encoding/mls-format-error.ts';
import { readWrappedOrBare, WIRE_FORMAT } from '../encoding/wrapped-structure.ts';

/** The cleartext fields of a Welcome (RFC 9420 section 12.4.3.1). Group and epoch are encrypted. */
export interface WelcomeHeader {
  readonly cipherSuite: number;
  /** The KeyPackageRef of every joiner, in the order of the Welcome. Views on the input. */
  readonly keyPackageRefs: readonly Uint8Array[];
}

export interface Welcome extends WelcomeHeader {
  /** The Welcome without the MLSMessage header, as a view on the input. */
  readonly bare: Uint8Array;
}

export function readWelcomeBody(reader: ByteReader): WelcomeHeader {
  const cipherSuite = reader.uint16();
  const keyPackageRefs: Uint8Array[] = [];
  reader.vector(() => {
    const ref = reader.hashReference();
    reader.skipOpaque(); // kem_output
    reader.skipOpaque(); // ciphertext
    keyPackageRefs.push(ref);
    if (keyPackageRefs.length > limits.joinersPerWelcomeMax) {
      throw new MlsFormatError('The Welcome is for more joiners than the service allows.');
    }
  });
  if (keyPackageRefs.length === 0) throw new MlsFormatError('The Welcome has no joiners.');
  reader.skipOpaque(); // encrypted_group_info
  return { cipherSuite, keyPackageRefs };
}

/**
 * Reads a Welcome that fills `bytes` exactly, in an MLSMessage or bare.
 * @throws MlsFormatError on any other input.
 */
export function readWelcome(bytes: Uint8Array): Welcome {
  if (bytes.length > limits.welcomeSizeBytesMax) throw new MlsFormatError('The Welcome is larger than 10485760 bytes.');
  const reading = readWrappedOrBare(bytes, { wireFormat: WIRE_FORMAT.welcome, readBody: readWelcomeBody });
  return { ...reading.value, bare: reading.bare };
}
