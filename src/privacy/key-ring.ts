import { createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

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
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(parseEntry);
  const [current] = keys;
  if (current === undefined)
    throw new KeyRingError('The key ring is empty; it needs at least one "<id>:<base64 of 32 bytes>".');
  const byId = new Map(keys.map((key) => [key.id, key]));
  if (byId.size !== keys.length)
    throw new KeyRingError('Two keys of the ring have the same id; every id may stand once.');
  return { current, byId: (id) => byId.get(id) };
}

function parseEntry(entry: string): RootKey {
  const [, idText = '', keyText = ''] = /^(\d{1,3}):([A-Za-z0-9+/_-]+=*)$/.exec(entry) ?? [];
  const id = Number(idText);
  const secret = Buffer.from(keyText, 'base64');
  if (id < 1 || id > 255 || secret.length !== rootKeySizeBytes) {
    throw new KeyRingError(
      'A key must be "<id>:<base64 of 32 bytes>" with an id from 1 to 255; make one with: npm run admin -- key new',
    );
  }
  if (new Set(secret).size < 8)
    throw new KeyRingError('A key of the ring is not random; make one with: npm run admin -- key new');
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
