import { ConfigError } from '#platform/config/config.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '../connection/database.ts';

/** The id of the identity key, and a fingerprint that can be computed only with the key. */
export interface IdentityKey {
  readonly id: number;
  readonly fingerprint: Buffer;
}

export function identityKeyOf(privacy: Privacy): IdentityKey {
  return { id: privacy.keyId, fingerprint: privacy.pseudonym('key-check', [], 'identity key') };
}

/**
 * Checks that the pseudonyms in the database were made with the key of this process, because no member could be found
 * with another key. The first server that starts stores the fingerprint.
 * @throws ConfigError when the database has the fingerprint of another key.
 */
export async function checkIdentityKey(sql: Sql, key: IdentityKey): Promise<void> {
  // When two servers start at once, only one inserts a row, and both compare their key with that row.
  await sql`
    INSERT INTO identity_keys (key_id, fingerprint)
    SELECT ${key.id}::smallint, ${key.fingerprint} WHERE NOT EXISTS (SELECT 1 FROM identity_keys)
    ON CONFLICT DO NOTHING`;
  await assertIdentityKey(sql, key);
}

/**
 * Checks the key as `checkIdentityKey` does, but stores nothing.
 * @throws ConfigError when the database has the fingerprint of another key.
 */
export async function assertIdentityKey(sql: Sql, key: IdentityKey): Promise<void> {
  const rows = await sql<{ keyId: number; fingerprint: Buffer }[]>`
    SELECT key_id AS "keyId", fingerprint FROM identity_keys`;
  if (rows.length === 0) return;
  if (rows.some((row) => row.keyId === key.id && row.fingerprint.equals(key.fingerprint))) return;
  throw new ConfigError([
    'IDENTITY_KEY: is not the key that the names in this database were written with. Set the previous key again; without it they cannot be read.',
  ]);
}
