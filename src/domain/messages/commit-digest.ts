import { createHash } from 'node:crypto';

/** SHA-256 of a commit's bytes, by which a client finds out that a commit is its own. */
export function commitDigest(commit: Uint8Array): Buffer {
  return createHash('sha256').update(commit).digest();
}
