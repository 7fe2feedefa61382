import { MlsFormatError } from './mls-format-error.ts';

const TRUNCATED = 'The MLS data ends before one of its fields does.';

/** Digest sizes of SHA-256 and SHA-512, the shortest and the longest digest of the registered suites. */
const HASH_REFERENCE_SIZE_BYTES_MIN = 32;
const HASH_REFERENCE_SIZE_BYTES_MAX = 64;

/**
 * Limits the items of all vectors of one input together, because 10 MiB of one-byte items would block the event loop.
 */
const ITEMS_MAX = 500_000;

/**
 * Reads bytes in the presentation language of RFC 9420 section 2.1, from start to end. Returned byte arrays are views
 * on the input. Every method throws `MlsFormatError` on malformed input, also when the input ends too early.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  #end: number;
  #itemsLeft = ITEMS_MAX;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Returns the bytes from `startOffset` to the current offset. */
  since(startOffset: number): Uint8Array {
    return this.#bytes.subarray(startOffset, this.#offset);
  }

  bytes(sizeBytes: number): Uint8Array {
    const start = this.#advance(sizeBytes);
    return this.#bytes.subarray(start, start + sizeBytes);
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  uint64(): bigint {
    return (BigInt(this.uint32()) << 32n) | BigInt(this.uint32());
  }

  /** Reads an epoch, and refuses values above 2^53 - 1, which a JSON number cannot represent exactly. */
  epoch(): number {
    const epoch = this.uint32() * 0x1_0000_0000 + this.uint32();
    // Rounding makes no larger value safe, because 2^53 is exact.
    if (!Number.isSafeInteger(epoch)) throw new MlsFormatError('The MLS epoch is out of range.');
    return epoch;
  }

  /** Reads `opaque<V>`. */
  opaque(): Uint8Array {
    return this.bytes(this.#vectorLength());
  }

  /** Reads a `HashReference` (RFC 9420 section 5.2), which is a digest of 32 to 64 bytes in the registered suites. */
  hashReference(): Uint8Array {
    const sizeBytes = this.#vectorLength();
    if (sizeBytes < HASH_REFERENCE_SIZE_BYTES_MIN || sizeBytes > HASH_REFERENCE_SIZE_BYTES_MAX) {
      throw new MlsFormatError('A reference to a KeyPackage or a proposal is not as long as a digest.');
    }
    return this.bytes(sizeBytes);
  }

  /** Skips `opaque<V>` without the cost of a view. */
  skipOpaque(): void {
    this.#advance(this.#vectorLength());
  }

  /** Skips a vector of `uint16`. */
  skipUint16Vector(): void {
    const sizeBytes = this.#vectorLength();
    if (sizeBytes % 2 !== 0) throw new MlsFormatError('An MLS list of 16-bit values has an odd length.');
    this.#advance(sizeBytes);
  }

  /** Reads `T items<V>` by calling `readItem` until the vector ends. No item can read beyond the end of the vector. */
  vector(readItem: (reader: ByteReader) => void): void {
    const sizeBytes = this.#vectorLength();
    const outerEnd = this.#end;
    if (sizeBytes > outerEnd - this.#offset) throw new MlsFormatError(TRUNCATED);
    this.#end = this.#offset + sizeBytes;
    while (this.#offset < this.#end) {
      this.#itemsLeft -= 1;
      if (this.#itemsLeft < 0) throw new MlsFormatError('The MLS data has more list items than any group needs.');
      readItem(this);
    }
    this.#end = outerEnd;
  }

  /** Reads the presence octet of `optional<T>`. The caller reads the value if the result is true. */
  isPresent(): boolean {
    const octet = this.uint8();
    if (octet > 1) throw new MlsFormatError('An MLS presence octet is neither 0 nor 1.');
    return octet === 1;
  }

  /**
   * Checks that all bytes have been read.
   * @throws MlsFormatError if bytes are left.
   */
  expectEnd(): void {
    if (this.#offset !== this.#end) throw new MlsFormatError('Bytes follow the end of the MLS data.');
  }

  /**
   * Reads the length of a variable-size vector (RFC 9420 section 2.1.2). Refuses prefix 3 and encodings that are not
   * minimal.
   */
  #vectorLength(): number {
    const first = this.uint8();
    const prefix = first >> 6;
    if (prefix === 0) return first;
    if (prefix === 3) throw new MlsFormatError('An MLS vector length is malformed.');
    const high = first & 0x3f;
    const length = prefix === 1 ? (high << 8) | this.uint8() : (high << 24) | (this.uint8() << 16) | this.uint16();
    if (length < (prefix === 1 ? 64 : 16_384)) throw new MlsFormatError('An MLS vector length is not minimal.');
    return length;
  }

  #advance(sizeBytes: number): number {
    const start = this.#offset;
    if (sizeBytes > this.#end - start) throw new MlsFormatError(TRUNCATED);
    this.#offset = start + sizeBytes;
    return start;
  }
}
