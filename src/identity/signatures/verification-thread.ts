import { parentPort } from 'node:worker_threads';
import { loadNativeVerifier } from './native-secp256k1.ts';
import { publicKeyStartsAt, recordSizeBytes, signatureStartsAt } from './verification-record.ts';
import type { VerificationBatch } from './verification-record.ts';

const verify = loadNativeVerifier();

parentPort?.on('message', ({ id, bytes }: VerificationBatch) => {
  const results = new Uint8Array(bytes.length / recordSizeBytes);
  for (let index = 0; index < results.length; index++) {
    const record = bytes.subarray(index * recordSizeBytes, (index + 1) * recordSizeBytes);
    results[index] = isValid(record) ? 1 : 0;
  }
  parentPort?.postMessage({ id, bytes: results } satisfies VerificationBatch);
});

function isValid(record: Uint8Array): boolean {
  const digest = record.subarray(0, signatureStartsAt);
  const signature = record.subarray(signatureStartsAt, publicKeyStartsAt);
  return verify?.(digest, signature, record.subarray(publicKeyStartsAt)) === true;
}
