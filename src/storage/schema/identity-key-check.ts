import { ConfigError } from '#platform/config/config.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '../connection/database.ts';

/** A key by its id and a fingerprint that only whoever has the key can make. */
export interface IdentityKey {
  readonly id: number;
  readonly fingerprint: Buffer;
}

export function identityKeyOf(privacy: Privacy): IdentityKey {
  return { id: privacy.keyId, fingerprint: privacy.pseudonym('key-check', [], 'identity key') };
}

/**
 * Makes sure that names in the database were written with the key that this process has: with another one everybody would be a
 * stranger to their own conversations. The first server to start writes the fingerprint down.
 * @throws ConfigError when the database knows another key.
 */
export async function checkIdentityKey(sql: Sql, key: IdentityKey): Promise<void> {
  // Two servers that start at once agree on the row of whoever came first.
  await sql`
    INSERT INTO identity_keys (key_id, fingerprint)
    SELECT ${key.id}::smallint, ${key.fingerprint} WHERE NOT EXISTS (SELECT 1 FROM identity_keys)
    ON CONFLICT DO NOTHING`;
  await assertIdentityKey(sql, key);
}

/** The same for a command, which writes nothing down. @throws ConfigError when the database knows another key. */
export async function assertIdentityKey(sql: Sql, key: IdentityKey): Promise<void> {
  const rows = await sql<{ keyId: number; fingerprint: Buffer }[]>`
    SELECT key_id AS "keyId", fingerprint FROM identity_keys`;
  if (rows.length === 0) return;
  if (rows.some((row) => row.keyId === key.id && row.fingerprint.equals(key.fingerprint))) return;
  throw new ConfigError([
    'IDENTITY_KEY: is not the key that the names in this database were written with. Set the former key again; without it they cannot be read.',
  ]);
}
