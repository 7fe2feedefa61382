import { limits } from '#platform/limits.ts';

import { ByteReader } from './byte-reader.ts';
import { MlsFormatError } from './mls-format-error.ts';
import { type MlsMessageHeader, mlsMessageSizeBytes, readMlsMessage } from '../messages/mls-message.ts';
import { beginsAsMlsMessage, readEither, wireFormats } from './wrapped-structure.ts';

const LENGTH_PREFIX_SIZE_BYTES = 4;
const LARGE_BUCKET_STEP_BYTES = 8_192;
const SMALL_BUCKETS_BYTES: readonly number[] = [512, 1_024, 2_048, 4_096];
const ZEROS = Buffer.alloc(LARGE_BUCKET_STEP_BYTES);

/**
 * Returns whether a padded message may have this size. The allowed sizes are the powers of two from 512 to 8192 bytes,
 * and the multiples of 8192 bytes up to 10 MiB.
 */
export function isMessageSizeBucket(sizeBytes: number): boolean {
  if (SMALL_BUCKETS_BYTES.includes(sizeBytes)) return true;
  if (sizeBytes <= 0 || sizeBytes > limits.messageSizeBytesMax) return false;
  return sizeBytes % LARGE_BUCKET_STEP_BYTES === 0;
}

/** An MLSMessage and its cleartext fields. Both are views on the padded input. */
export interface UnwrappedMessage {
  readonly message: Uint8Array;
  readonly header: MlsMessageHeader;
}

function isAllZeros(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += ZEROS.length) {
    const part = bytes.subarray(start, start + ZEROS.length);
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

function unwrapEnvelope(padded: Uint8Array): UnwrappedMessage {
  const end = LENGTH_PREFIX_SIZE_BYTES + new ByteReader(padded).uint32();
  const rest = padded.subarray(LENGTH_PREFIX_SIZE_BYTES);
  if (!beginsAsMlsMessage(rest, wireFormats)) {
    throw new MlsFormatError(
      'The bytes are neither an MLSMessage nor the padding envelope, which is 4 bytes of length (big-endian), the MLSMessage, and zeros up to the end.',
    );
  }
  if (end > padded.length)
    throw new MlsFormatError('The length in front of the MLSMessage is larger than the message that follows.');
  const message = padded.subarray(LENGTH_PREFIX_SIZE_BYTES, end);
  const header = readOfLength(message, rest);
  if (!isAllZeros(padded.subarray(end)))
    throw new MlsFormatError('The padding behind the MLSMessage is not all zeros.');
  return { message, header };
}

/**
 * Reads `message`, which ends where the length prefix says. Reports a wrong length prefix if `message` cannot be read
 * but the longer `rest` begins with an MLSMessage.
 */
function readOfLength(message: Uint8Array, rest: Uint8Array): MlsMessageHeader {
  try {
    return readMlsMessage(message);
  } catch (error) {
    if (!(error instanceof MlsFormatError) || mlsMessageSizeBytes(rest) === undefined) throw error;
    throw new MlsFormatError('The length in front of the MLSMessage is not its length.');
  }
}

/**
 * Finds the MLSMessage in a padded message and reads its header.
 * `padded` is either an MLSMessage that fills it exactly, or the padding envelope, which is 4 bytes of big-endian
 * length, the MLSMessage, and zeros up to the end. No input has both forms, because an MLSMessage that is also an
 * envelope would have an empty group id and an epoch beyond 2^53, which are refused.
 * @throws MlsFormatError on any other input.
 */
export function readPaddedMessage(padded: Uint8Array): UnwrappedMessage {
  if (!beginsAsMlsMessage(padded, wireFormats)) return unwrapEnvelope(padded);
  return readEither(
    () => ({ message: padded, header: readMlsMessage(padded) }),
    () => unwrapEnvelope(padded),
  );
}

/**
 * Returns the MLSMessage inside a padded message, as a view.
 * @throws MlsFormatError unless `padded` is one whole MLSMessage, bare or in the padding envelope.
 */
export function unwrapPadded(padded: Uint8Array): Uint8Array {
  return readPaddedMessage(padded).message;
}
