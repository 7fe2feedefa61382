import type { KeyPackageUpload } from '#domain/key-packages/publish-key-packages.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { decodeBase64 } from '#platform/base64.ts';
import { inputTimeMs } from './time-input.ts';

/** Errors that have a text for input that is not base64. */
type BlobRefusal = 'InvalidCommit' | 'InvalidGroupInfo' | 'InvalidKeyPackage' | 'InvalidWelcome';

/**
 * Decodes a base64 text.
 * @throws AppError `refusal` when the text is not base64.
 */
export function blob(text: string, refusal: BlobRefusal): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw refusalFor(refusal, 'notBase64');
  return bytes;
}

/**
 * Decodes a base64 text as `blob` does, or returns undefined for an absent text.
 * @throws AppError `refusal` when the text is not base64.
 */
export function optionalBlob(text: string | undefined, refusal: BlobRefusal): Buffer | undefined {
  return text === undefined ? undefined : blob(text, refusal);
}

/** Returns the total size in bytes, in which an absent field counts as 0. */
export function sizeOf(blobs: Readonly<Record<string, Buffer | undefined>>): number {
  return Object.values(blobs).reduce((total, bytes) => total + (bytes?.length ?? 0), 0);
}

/** Returns `bytes` as a Buffer that shares the memory of `bytes`. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Converts a key package of a request to the form in which it is published. Text that is not base64 becomes empty
 * bytes, so that only this package of a batch is refused.
 */
export function keyPackageUpload(
  item: {
    readonly keyPackage: string;
    readonly cipherSuite: string;
    readonly expires?: string | undefined;
    readonly idempotencyKey?: string | undefined;
  },
  deviceTag?: Buffer,
): KeyPackageUpload {
  return {
    bytes: decodeBase64(item.keyPackage) ?? Buffer.alloc(0),
    cipherSuite: item.cipherSuite,
    expiresAtMs: inputTimeMs(item.expires),
    deviceTag,
    idempotencyKey: item.idempotencyKey,
  };
}
