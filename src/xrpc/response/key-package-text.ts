import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';

/**
 * Encodes a KeyPackage in base64. `asMlsMessage` wraps it in an MLSMessage, which mls-rs and OpenMLS read, while
 * clients of the reference contract read the bare form.
 */
export function keyPackageText(keyPackage: Buffer, asMlsMessage: boolean | undefined): string {
  const bytes = asMlsMessage === true ? wrapInMlsMessage(keyPackage, WIRE_FORMAT.keyPackage) : keyPackage;
  return bytes.toString('base64');
}
