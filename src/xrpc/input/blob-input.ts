import type { KeyPackageUpload } from '#domain/key-packages/publish-key-packages.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { decodeBase64 } from '#platform/base64.ts';
import { inputTimeMs } from './time-input.ts';

/** Names of refusals that have a text for what is not base64. */
type BlobRefusal = 'InvalidCommit' | 'InvalidGroupInfo' | 'InvalidKeyPackage' | 'InvalidWelcome';

/** @throws AppError `refusal` when the text is not base64. */
export function blob(text: string, refusal: BlobRefusal): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw refusalFor(refusal, 'notBase64');
  return bytes;
}

/** As `blob`, for fields that may be absent. */
export function optionalBlob(text: string | undefined, refusal: BlobRefusal): Buffer | undefined {
  return text === undefined ? undefined : blob(text, refusal);
}

/** The size of those that are there. */
export function sizeOf(blobs: Readonly<Record<string, Buffer | undefined>>): number {
  return Object.values(blobs).reduce((total, bytes) => total + (bytes?.length ?? 0), 0);
}

/** A buffer on the bytes that the lexicon parser made, without a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A key package as clients upload it. Text that is not base64 becomes empty bytes, which no check accepts. */
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
