import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';

/**
 * A KeyPackage in base64. With `asMlsMessage` it is wrapped in an MLSMessage, which mls-rs and OpenMLS read; clients of the reference
 * contract read the bare form.
 */
export function keyPackageText(keyPackage: Buffer, asMlsMessage: boolean | undefined): string {
  const bytes = asMlsMessage === true ? wrapInMlsMessage(keyPackage, WIRE_FORMAT.keyPackage) : keyPackage;
  return bytes.toString('base64');
}
