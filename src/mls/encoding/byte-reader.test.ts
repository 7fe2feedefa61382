import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ByteReader } from './byte-reader.ts';
import { MlsFormatError } from './mls-format-error.ts';

function reader(hex: string): ByteReader {
  return new ByteReader(Buffer.from(hex, 'hex'));
}

describe('variable-size vectors (RFC 9420 section 2.1.2)', () => {
  it('reads lengths of one, two and four bytes', () => {
    for (const sizeBytes of [0, 1, 63, 64, 16_383, 16_384, 70_000]) {
      const prefix = Buffer.alloc(sizeBytes < 64 ? 1 : sizeBytes < 16_384 ? 2 : 4);
      if (prefix.length === 1) prefix.writeUInt8(sizeBytes);
      else if (prefix.length === 2) prefix.writeUInt16BE(0x4000 + sizeBytes);
      else prefix.writeUInt32BE(0x8000_0000 + sizeBytes);
      const subject = new ByteReader(Buffer.concat([prefix, Buffer.alloc(sizeBytes, 7)]));
      expect(subject.opaque()).toHaveLength(sizeBytes);
      subject.expectEnd();
    }
  });

  it.each([
    ['a two-byte length that fits one byte', '4025'],
    ['a four-byte length that fits two bytes', '80003fff'],
    ['a four-byte length that fits one byte', '80000001'],
  ])('refuses %s', (_name, hex) => {
    const padded = hex + '00'.repeat(17_000);
    expect(() => reader(padded).opaque()).toThrow('not minimal');
  });

  it('refuses the eight-byte prefix', () => {
    expect(() => reader('c000000000000001ff').opaque()).toThrow('malformed');
  });

  it('refuses a length beyond the end', () => {
    expect(() => reader('05010203').opaque()).toThrow(MlsFormatError);
    expect(() => reader('bfffffff00').opaque()).toThrow(MlsFormatError);
    expect(() => reader('bfffffff00').vector((item) => item.uint8())).toThrow(MlsFormatError);
  });

  it('limits the number of items, so that 10 MiB of one-byte items cannot block the event loop', () => {
    const items = Buffer.concat([Buffer.from('80989680', 'hex'), Buffer.alloc(10_000_000)]);
    expect(() => new ByteReader(items).vector((item) => item.skipOpaque())).toThrow('more list items');
  });

  it('refuses items that extend beyond their vector', () => {
    // The vector has one byte and its item reads two, so the item must not get the byte after the vector.
    expect(() => reader('01aabb').vector((item) => item.uint16())).toThrow(MlsFormatError);
    // The outer vector has two bytes, and its item is a vector whose length is three bytes.
    const readNested = (item: ByteReader): void => item.vector((inner) => inner.uint8());
    expect(() => reader('0203aabbcc').vector(readNested)).toThrow(MlsFormatError);
    expect(() => reader('0403aabbcc').vector(readNested)).not.toThrow();
  });
});

describe('numbers', () => {
  it('reads big-endian numbers up to the end of the input', () => {
    const subject = reader('01' + '0203' + 'fffffffe' + '8000000000000001');
    expect([subject.uint8(), subject.uint16(), subject.uint32(), subject.uint64()]).toEqual([
      1,
      0x0203,
      0xfffffffe,
      0x8000000000000001n,
    ]);
    subject.expectEnd();
  });

  it('refuses an epoch that a JSON number cannot hold', () => {
    expect(reader('001fffffffffffff').epoch()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => reader('0020000000000000').epoch()).toThrow(MlsFormatError);
  });

  it('refuses a presence octet other than 0 and 1, an odd list of 16-bit values, and trailing bytes', () => {
    expect(reader('01').isPresent()).toBe(true);
    expect(reader('00').isPresent()).toBe(false);
    expect(() => reader('02').isPresent()).toThrow(MlsFormatError);
    expect(() => reader('03000102').skipUint16Vector()).toThrow(MlsFormatError);
    expect(() => reader('00').expectEnd()).toThrow(MlsFormatError);
  });
});

it('throws only MlsFormatError and never returns bytes from outside its input', () => {
  const operations = [
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'epoch',
    'opaque',
    'skipOpaque',
    'skipUint16Vector',
    'isPresent',
  ] as const;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.array(fc.constantFrom(...operations), { maxLength: 12 }),
      (bytes, steps) => {
        // The input is a view on a larger buffer, so a read outside it would return 0xee.
        const around = new Uint8Array(bytes.length + 32).fill(0xee);
        around.set(bytes, 16);
        const subject = new ByteReader(around.subarray(16, 16 + bytes.length));
        for (const step of steps) {
          try {
            const value = subject[step]();
            if (value instanceof Uint8Array) {
              expect(value.byteOffset + value.length).toBeLessThanOrEqual(16 + bytes.length);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(MlsFormatError);
            return;
          }
          expect(subject.offset).toBeLessThanOrEqual(bytes.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});
