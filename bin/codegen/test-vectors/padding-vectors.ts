import { accepted, hexOf, made, refusedWith } from './vector-file.ts';
import type { Verdict, VectorFile } from './vector-file.ts';

/** An MLSMessage and its padding envelope; without bytes where only the sizes matter. */
export interface PaddingVector {
  readonly name: string;
  readonly messageSizeBytes?: number;
  readonly paddedSizeBytes: number;
  readonly message?: string;
  readonly padded?: string;
  /** The response to `sendMessage` with `padded` in epoch 1 of the group of mls.json. */
  readonly verdict?: Verdict;
}

const prefixSizeBytes = 4;

/** A PrivateMessage of the group of mls.json with application data, of exactly this size. Its ciphertext is not encrypted. */
function messageOf(sizeBytes: number): Buffer {
  const head = Buffer.from(`00010002` + `10${made.groupId}` + `0000000000000001` + `01` + `00` + `00`, 'hex');
  const body = Buffer.alloc(sizeBytes - head.length - 2, 0xab);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(0x4000 + body.length);
  return Buffer.concat([head, length, body]);
}

function envelopeOf(message: Buffer, sizeBytes: number): Buffer {
  const padded = Buffer.alloc(sizeBytes);
  padded.writeUInt32BE(message.length);
  message.copy(padded, prefixSizeBytes);
  return padded;
}

function whole(messageSizeBytes: number, paddedSizeBytes: number): PaddingVector {
  const message = messageOf(messageSizeBytes);
  return {
    name: `a message of ${messageSizeBytes} bytes`,
    messageSizeBytes,
    paddedSizeBytes,
    message: hexOf(message),
    padded: hexOf(envelopeOf(message, paddedSizeBytes)),
    verdict: accepted,
  };
}

function sizes(messageSizeBytes: number, paddedSizeBytes: number): PaddingVector {
  return { name: `the size of a message of ${messageSizeBytes} bytes`, messageSizeBytes, paddedSizeBytes };
}

function refused(name: string, padded: Buffer, error = 'InvalidAsset'): PaddingVector {
  return { name, paddedSizeBytes: padded.length, padded: hexOf(padded), verdict: refusedWith(error) };
}

function refusedVectors(): PaddingVector[] {
  const message = messageOf(400);
  const withLength = (length: number): Buffer => {
    const padded = envelopeOf(message, 512);
    padded.writeUInt32BE(length);
    return padded;
  };
  const withLastByte = envelopeOf(message, 512);
  withLastByte[511] = 1;
  const withFirstByte = envelopeOf(message, 512);
  withFirstByte[prefixSizeBytes + message.length] = 1;
  return [
    refused('a size that is no bucket', envelopeOf(message, 600)),
    refused('a size below the smallest bucket', envelopeOf(messageOf(200), 256), 'InvalidRequest'),
    refused('a size above 8,192 that is no multiple of it', envelopeOf(message, 12_288)),
    refused('a length that is one too small', withLength(399)),
    refused('a length that is one too large', withLength(401)),
    refused('a length beyond the end', withLength(509)),
    refused('a length of zero', withLength(0)),
    refused('a little-endian length', withLength(0x9001_0000)),
    refused('a last byte that is not zero', withLastByte),
    refused('a first byte of padding that is not zero', withFirstByte),
    refused('zeros behind a message without a length', Buffer.concat([message, Buffer.alloc(112)])),
    refused('only zeros', Buffer.alloc(512)),
  ];
}

/** `padding.json`. */
export function paddingVectors(): VectorFile<PaddingVector> {
  return {
    about:
      'The padding envelope of sendMessage: 4 bytes with the length of the MLSMessage (big-endian), the MLSMessage, zeros up to the size bucket. docs/padding.md explains it.',
    vectors: [
      whole(100, 512),
      whole(507, 512),
      whole(508, 512),
      whole(509, 1_024),
      whole(1_020, 1_024),
      whole(1_021, 2_048),
      whole(4_092, 4_096),
      sizes(0, 512),
      sizes(2_044, 2_048),
      sizes(2_045, 4_096),
      sizes(4_093, 8_192),
      sizes(8_188, 8_192),
      sizes(8_189, 16_384),
      sizes(16_380, 16_384),
      sizes(16_381, 24_576),
      sizes(65_532, 65_536),
      sizes(65_533, 73_728),
      sizes(10_485_756, 10_485_760),
      ...refusedVectors(),
    ],
  };
}
