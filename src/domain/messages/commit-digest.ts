import { createHash } from 'node:crypto';

/** SHA-256 of a commit as it is served, by which a client recognises the one that it made. */
export function commitDigest(commit: Uint8Array): Buffer {
  return createHash('sha256').update(commit).digest();
}
