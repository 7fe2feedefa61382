import { describe, expect, it } from 'vitest';

import { MlsFormatError } from './mls-format-error.ts';
import { isMessageSizeBucket, unwrapPadded } from './padding-envelope.ts';

/** Creates a PrivateMessage of exactly `sizeBytes`, which must be between 500 and 16,000 or above 17,000. */
function privateMessage(sizeBytes: number): Buffer {
  const head = Buffer.from('00010002' + '0467726f75' + '0000000000000001' + '01' + '00' + '00', 'hex');
  const lengthSizeBytes = sizeBytes < 16_400 ? 2 : 4;
  const body = Buffer.alloc(sizeBytes - head.length - lengthSizeBytes, 0xab);
  const length = Buffer.alloc(lengthSizeBytes);
  if (lengthSizeBytes === 2) length.writeUInt16BE(0x4000 + body.length);
  else length.writeUInt32BE(0x8000_0000 + body.length);
  return Buffer.concat([head, length, body]);
}

function envelope(message: Buffer, bucket: number): Buffer {
  const padded = Buffer.alloc(bucket);
  padded.writeUInt32BE(message.length);
  message.copy(padded, 4);
  return padded;
}

describe('isMessageSizeBucket', () => {
  it('accepts exactly the bucket sizes of the wire contract', () => {
    const accepted = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 24_576, 10_485_760];
    for (const sizeBytes of accepted) expect(isMessageSizeBucket(sizeBytes), String(sizeBytes)).toBe(true);
    const refused = [-8_192, 0, 1, 256, 511, 513, 1_536, 6_144, 8_193, 12_288, 10_485_761, 10_493_952, 512.5, NaN];
    for (const sizeBytes of refused) expect(isMessageSizeBucket(sizeBytes), String(sizeBytes)).toBe(false);
  });
});

describe('unwrapPadded', () => {
  it('returns a message that fills its bucket and a message in the envelope', () => {
    const filling = privateMessage(1_024);
    expect(unwrapPadded(filling)).toEqual(filling);
    const enveloped = privateMessage(700);
    expect(unwrapPadded(envelope(enveloped, 1_024))).toEqual(enveloped);
    const exact = privateMessage(508);
    expect(unwrapPadded(envelope(exact, 512))).toEqual(exact);
  });

  it.each([65_537, 65_538, 65_541])(
    'detects an envelope whose length has the same bytes as an MLS header (%i)',
    (n) => {
      const message = privateMessage(n);
      expect(unwrapPadded(envelope(message, 73_728))).toEqual(message);
    },
  );

  it('refuses any non-zero byte of padding', () => {
    const message = privateMessage(700);
    for (const at of [704, 705, 900, 1_023]) {
      const padded = envelope(message, 1_024);
      padded[at] = 1;
      expect(() => unwrapPadded(padded)).toThrow('not all zeros');
    }
  });

  it.each([
    ['a length beyond the end', (padded: Buffer) => padded.writeUInt32BE(1_021)],
    ['a length that is too small', (padded: Buffer) => padded.writeUInt32BE(699)],
    ['a length that is too large', (padded: Buffer) => padded.writeUInt32BE(701)],
    ['no length', (padded: Buffer) => padded.writeUInt32BE(0)],
    ['no MLSMessage', (padded: Buffer) => padded.fill(0, 4)],
  ])('refuses %s', (_name, corrupt) => {
    const padded = envelope(privateMessage(700), 1_024);
    corrupt(padded);
    expect(() => unwrapPadded(padded)).toThrow(MlsFormatError);
  });

  it('refuses a length one byte beyond the end, also when the envelope contains a whole message', () => {
    const padded = envelope(privateMessage(1_020), 1_024);
    expect(unwrapPadded(padded)).toHaveLength(1_020);
    padded.writeUInt32BE(1_021);
    expect(() => unwrapPadded(padded)).toThrow('larger than the message');
  });

  it('refuses zeros after a message without an envelope, and inputs that are too short for any message', () => {
    expect(() => unwrapPadded(Buffer.concat([privateMessage(700), Buffer.alloc(324)]))).toThrow(MlsFormatError);
    for (const sizeBytes of [0, 1, 3, 4, 5])
      expect(() => unwrapPadded(Buffer.alloc(sizeBytes))).toThrow(MlsFormatError);
  });
});
