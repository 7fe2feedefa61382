import { ByteReader } from './byte-reader.ts';
import { PROTOCOL_VERSION_MLS10 } from '../key-packages/key-package-structure.ts';
import { MlsFormatError } from './mls-format-error.ts';

/** WireFormat values of RFC 9420 section 17.2. */
export const WIRE_FORMAT = {
  publicMessage: 1,
  privateMessage: 2,
  welcome: 3,
  groupInfo: 4,
  keyPackage: 5,
} as const;

/** ProtocolVersion and WireFormat. */
const MLS_MESSAGE_HEADER_SIZE_BYTES = 4;

interface StructureForm<T> {
  readonly wireFormat: number;
  readonly readBody: (reader: ByteReader) => T;
}

function readExactly<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes);
  const value = read(reader);
  reader.expectEnd();
  return value;
}

/**
 * The first of two readings that fits.
 * @throws MlsFormatError of the first reading when neither fits.
 */
export function readEither<T>(first: () => T, second: () => T): T {
  try {
    return first();
  } catch (error) {
    if (!(error instanceof MlsFormatError)) throw error;
    try {
      return second();
    } catch (secondError) {
      throw secondError instanceof MlsFormatError ? error : secondError;
    }
  }
}

/** Whether `bytes` begin as an MLSMessage of one of `wireFormats`; other structures may begin so by chance. */
export function beginsAsMlsMessage(bytes: Uint8Array, wireFormats: readonly number[]): boolean {
  const [versionHigh, versionLow, formatHigh, formatLow] = bytes;
  if (versionHigh !== 0 || versionLow !== PROTOCOL_VERSION_MLS10 || formatHigh !== 0) return false;
  return formatLow !== undefined && wireFormats.includes(formatLow);
}

/** A structure that came in an MLSMessage or bare. */
export interface StructureReading<T> {
  readonly value: T;
  /** The structure without an MLSMessage around it. A view on the input. */
  readonly bare: Uint8Array;
}

/**
 * Reads a structure that fills `bytes`, either inside an MLSMessage or bare: libraries export both.
 * @throws MlsFormatError when neither form fits.
 */
export function readWrappedOrBare<T>(bytes: Uint8Array, form: StructureForm<T>): StructureReading<T> {
  const readBare = (bare: Uint8Array): StructureReading<T> => ({ value: readExactly(bare, form.readBody), bare });
  if (!beginsAsMlsMessage(bytes, [form.wireFormat])) return readBare(bytes);
  return readEither(
    () => readBare(bytes.subarray(MLS_MESSAGE_HEADER_SIZE_BYTES)),
    () => readBare(bytes),
  );
}

/** The MLSMessage around a bare structure: the form in which Welcomes and GroupInfos are kept, whichever they came in. */
export function wrapInMlsMessage(bare: Uint8Array, wireFormat: number): Buffer {
  return Buffer.concat([Buffer.of(0, PROTOCOL_VERSION_MLS10, 0, wireFormat), bare]);
}
