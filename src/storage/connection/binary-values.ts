import { InvariantError } from '#platform/errors.ts';
import { ByteaArray } from '../sql/bytea-array.ts';

/**
 * The binary format of Postgres for the types that are worth it: bytes, numbers, times and arrays. All other types, and
 * all values that no function here accepts, go over the connection as text (docs/decisions/0026).
 */
export interface BinaryFormat {
  /** Decoders by type id. Each returns the same JavaScript value as the parser of the text format. */
  readonly decoders: Readonly<Record<number, (row: Buffer, start: number, end: number) => unknown>>;
  /** Encodes a parameter of the type, or returns undefined when the parameter must be sent as text. */
  encode(value: unknown, typeId: number): Uint8Array | undefined;
}

const typeIds = {
  boolean: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  float8: 701,
  timestamptz: 1184,
  byteaArray: 1001,
  int4Array: 1007,
  textArray: 1009,
  int8Array: 1016,
  float8Array: 1022,
} as const;

const highFactor = 2 ** 32;
/** 2000-01-01T00:00:00Z, the start of Postgres's times. */
const epochMs = 946_684_800_000;
/** The high half of the times `infinity` and `-infinity`. */
const infiniteHighs: readonly number[] = [0x7f_ff_ff_ff, -0x80_00_00_00];

const encoders: Readonly<Record<number, (value: unknown) => Uint8Array | undefined>> = {
  [typeIds.bytea]: (value) => (value instanceof Uint8Array ? value : undefined),
  [typeIds.byteaArray]: (value) => (value instanceof ByteaArray ? encodeArray(value.values, typeIds.bytea) : undefined),
  [typeIds.int4Array]: (value) =>
    isArrayOf(value, isInt4) ? encodeArray(value.map(int4Bytes), typeIds.int4) : undefined,
  [typeIds.int8Array]: (value) =>
    isArrayOf(value, isSafeInteger) ? encodeArray(value.map(int8Bytes), typeIds.int8) : undefined,
  [typeIds.float8Array]: (value) =>
    isArrayOf(value, isNumber) ? encodeArray(value.map(float8Bytes), typeIds.float8) : undefined,
  [typeIds.textArray]: (value) =>
    isArrayOf(value, isString) ? encodeArray(value.map(textBytes), typeIds.text) : undefined,
};

export const binaryFormat: BinaryFormat = {
  decoders: {
    [typeIds.boolean]: (row, start) => row[start] === 1,
    // A copy, because the row is part of a chunk of up to 64 KiB, which a view would keep in memory.
    [typeIds.bytea]: (row, start, end) => Buffer.from(row.subarray(start, end)),
    [typeIds.int2]: (row, start) => row.readInt16BE(start),
    [typeIds.int4]: (row, start) => row.readInt32BE(start),
    [typeIds.oid]: (row, start) => row.readUInt32BE(start),
    [typeIds.int8]: readSafeInteger,
    [typeIds.float8]: (row, start) => row.readDoubleBE(start),
    [typeIds.timestamptz]: readTime,
  },
  encode: (value, typeId) => encoders[typeId]?.(value),
};

/** Reads an int8. @throws InvariantError when the value is not a safe integer. */
function readSafeInteger(row: Buffer, start: number): number {
  const value = row.readInt32BE(start) * highFactor + row.readUInt32BE(start + 4);
  if (!Number.isSafeInteger(value)) throw new InvariantError('an int8 value is above 2^53');
  return value;
}

/** Reads a time, which Postgres stores in microseconds, and cuts it to milliseconds. Infinite times become `Invalid Date`. */
function readTime(row: Buffer, start: number): Date {
  const high = row.readInt32BE(start);
  if (infiniteHighs.includes(high)) return new Date(Number.NaN);
  return new Date(epochMs + Math.floor((high * highFactor + row.readUInt32BE(start + 4)) / 1_000));
}

function isArrayOf<T>(value: unknown, isElement: (element: unknown) => element is T): value is readonly T[] {
  return Array.isArray(value) && value.length > 0 && value.every(isElement);
}

const isString = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';
const isSafeInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isInt4 = (value: unknown): value is number => typeof value === 'number' && (value | 0) === value;
const textBytes = (value: string): Uint8Array => Buffer.from(value, 'utf8');

function int4Bytes(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int8Bytes(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeInt32BE(Math.floor(value / highFactor));
  bytes.writeUInt32BE(value >>> 0, 4);
  return bytes;
}

function float8Bytes(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

/** Encodes an array of one dimension without nulls. */
function encodeArray(elements: readonly Uint8Array[], elementTypeId: number): Uint8Array {
  const headerBytes = elements.length === 0 ? 12 : 20;
  const sizeBytes = elements.reduce((sum, { length }) => sum + 4 + length, headerBytes);
  const bytes = Buffer.allocUnsafe(sizeBytes);
  bytes.writeInt32BE(elements.length === 0 ? 0 : 1);
  bytes.writeInt32BE(0, 4);
  bytes.writeInt32BE(elementTypeId, 8);
  if (elements.length === 0) return bytes;
  bytes.writeInt32BE(elements.length, 12);
  bytes.writeInt32BE(1, 16);
  let offset = headerBytes;
  for (const element of elements) {
    bytes.writeInt32BE(element.length, offset);
    bytes.set(element, offset + 4);
    offset += 4 + element.length;
  }
  return bytes;
}
