import { createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { required } from '#platform/errors.ts';
import { readKeyText } from '#platform/config/key-text.ts';
import type { KeyEntry } from '#platform/config/key-text.ts';

/** One root key; everything else is derived from it, so that a key is never used for two jobs. */
export interface RootKey {
  /** 1 to 255, stored beside whatever was made with the key. */
  readonly id: number;
  /** A 32-byte subkey for `use`, the same on every server (RFC 5869); as a KeyObject, which is five times faster to use. */
  derive(use: string): KeyObject;
}

/** The keys for names at rest: the current one makes new values, the others still read old ones. */
export interface KeyRing {
  readonly current: RootKey;
  byId(id: number): RootKey | undefined;
}

/** The key ring's text form is wrong; the message says how it must look and never repeats it. */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
}

const rootKeySizeBytes = 32;

/**
 * Parses `<id>:<base64 of 32 bytes>` entries, separated by commas or lines, the current key first.
 * @throws KeyRingError on a malformed, short, repetitive or doubly numbered key.
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
      const known = derived.get(use);
      if (known !== undefined) return known;
      const bytes = hkdfSync('sha256', secret, Buffer.alloc(0), `nightjar/1/${use}`, rootKeySizeBytes);
      const key = createSecretKey(Buffer.from(bytes));
      derived.set(use, key);
      return key;
    },
  };
}
