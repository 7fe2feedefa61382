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

export const wireFormats: readonly number[] = Object.values(WIRE_FORMAT);

/** Size of ProtocolVersion and WireFormat. */
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
 * Calls `first`, and calls `second` if `first` throws an MlsFormatError.
 * @throws MlsFormatError of `first` when both fail.
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

/**
 * Returns whether `bytes` begin with the header of an MLSMessage of one of `wireFormats`. Other structures may begin
 * with equal bytes.
 */
export function beginsAsMlsMessage(bytes: Uint8Array, wireFormats: readonly number[]): boolean {
  // Indexes, because an array pattern would create an iterator and an object for each byte.
  if (bytes[0] !== 0 || bytes[1] !== PROTOCOL_VERSION_MLS10 || bytes[2] !== 0) return false;
  return bytes[3] !== undefined && wireFormats.includes(bytes[3]);
}

/** A structure that was read from an MLSMessage or from its bare form. */
export interface StructureReading<T> {
  readonly value: T;
  /** The structure without the MLSMessage header, as a view on the input. */
  readonly bare: Uint8Array;
}

/**
 * Reads a structure that fills `bytes`, in an MLSMessage or bare, because MLS libraries export both forms.
 * @throws MlsFormatError when `bytes` have neither form.
 */
export function readWrappedOrBare<T>(bytes: Uint8Array, form: StructureForm<T>): StructureReading<T> {
  const readBare = (bare: Uint8Array): StructureReading<T> => ({ value: readExactly(bare, form.readBody), bare });
  if (!beginsAsMlsMessage(bytes, [form.wireFormat])) return readBare(bytes);
  return readEither(
    () => readBare(bytes.subarray(MLS_MESSAGE_HEADER_SIZE_BYTES)),
    () => readBare(bytes),
  );
}

/** Adds the MLSMessage header to a bare structure. Welcomes and GroupInfos are stored with the header. */
export function wrapInMlsMessage(bare: Uint8Array, wireFormat: number): Buffer {
  return Buffer.concat([Buffer.of(0, PROTOCOL_VERSION_MLS10, 0, wireFormat), bare]);
}
