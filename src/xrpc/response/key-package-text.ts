import { WIRE_FORMAT, wrapInMlsMessage } from '#mls/encoding/wrapped-structure.ts';

/**
 * A bare KeyPackage in base64, inside an MLSMessage where the caller asks for it: clients of the reference contract read the bare
 * form, mls-rs and OpenMLS the other.
 */
export function keyPackageText(keyPackage: Buffer, asMlsMessage: boolean | undefined): string {
  const bytes = asMlsMessage === true ? wrapInMlsMessage(keyPackage, WIRE_FORMAT.keyPackage) : keyPackage;
  return bytes.toString('base64');
}
