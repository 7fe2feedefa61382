import { createHash } from 'node:crypto';

/** Computes the SHA-256 of a commit's bytes, by which a client identifies a commit that it sent. */
export function commitDigest(commit: Uint8Array): Buffer {
  return createHash('sha256').update(commit).digest();
}
