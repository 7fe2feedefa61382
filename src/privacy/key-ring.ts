import { createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { required } from '#platform/errors.ts';
import { readKeyText } from '#platform/config/key-text.ts';
import type { KeyEntry } from '#platform/config/key-text.ts';

/** A root key, from which a separate key is derived for each use. */
export interface RootKey {
  /** An id from 1 to 255, stored with every value that is made with the key. */
  readonly id: number;
  /**
   * Derives the 32-byte subkey for `use` (HKDF, RFC 5869), which is the same on every server.
   * @returns a KeyObject, which is five times faster to use than bytes.
   */
  derive(use: string): KeyObject;
}

/** The keys that protect names at rest. The current key makes new values, and the other keys read older values. */
export interface KeyRing {
  readonly current: RootKey;
  byId(id: number): RootKey | undefined;
}

/** Thrown when the text of a key ring is invalid. The message states the required form and never contains the text. */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
}

const rootKeySizeBytes = 32;

/**
 * Parses a key ring, which is a list of `<id>:<base64 of 32 bytes>` separated by commas or white space, with the
 * current key first.
 * @throws KeyRingError when a key is malformed, too short or repetitive, or when two keys have the same id.
 */
export function parseKeyRing(text: string): KeyRing {
  const entries = readKeyText(text);
  if (typeof entries === 'string') throw new KeyRingError(`The key ring cannot be used: ${entries}.`);
  const keys = entries.map(rootKey);
  const byId = new Map(keys.map((key) => [key.id, key]));
  return { current: required(keys[0], 'first key'), byId: (id) => byId.get(id) };
}

function rootKey({ id, secret }: KeyEntry): RootKey {
  const derived = new Map<string, KeyObject>();
  return {
    id,
    derive(use) {
      const existing = derived.get(use);
      if (existing !== undefined) return existing;
      const bytes = hkdfSync('sha256', secret, Buffer.alloc(0), `nightjar/1/${use}`, rootKeySizeBytes);
      const key = createSecretKey(Buffer.from(bytes));
      derived.set(use, key);
      return key;
    },
  };
}
