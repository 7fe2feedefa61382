import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/**
 * Revokes the tokens of an account that were issued before a time. `account` is a pseudonym of purpose
 * 'token-not-before'.
 */
export interface TokenNotBefore {
  readonly account: Buffer;
  /** The DID of the account, from which the pseudonym is computed again when the identity key is rotated. */
  readonly sealedDid: Buffer;
  /** `now` is the database's time. `forever` revokes all tokens until the row is deleted. */
  readonly notBefore: Date | 'now' | 'forever';
}

/**
 * Seconds for which a row is stored after its time, more than the lifetime of a token plus the difference between
 * clocks.
 */
const keptSeconds = 600;

/**
 * Sets the time before which tokens of an account are revoked. @returns the stored time, or undefined for `forever`.
 */
export async function setTokenNotBefore(sql: Sql, row: TokenNotBefore): Promise<Date | undefined> {
  const [stored] = await sql<{ not_before: Date | null }[]>`
    INSERT INTO token_not_before (account, sealed_did, not_before, expires_at)
    SELECT ${row.account}, ${row.sealedDid}, given.at, given.at + make_interval(secs => ${keptSeconds})
    FROM (SELECT ${timeText(row.notBefore)}::text::timestamptz AS at) AS given
    ON CONFLICT (account) DO UPDATE
      SET sealed_did = excluded.sealed_did, not_before = excluded.not_before, expires_at = excluded.expires_at
    RETURNING nullif(not_before, 'infinity') AS not_before`;
  return stored?.not_before ?? undefined;
}

function timeText(notBefore: TokenNotBefore['notBefore']): string {
  if (notBefore === 'now') return 'now';
  return notBefore === 'forever' ? 'infinity' : notBefore.toISOString();
}

/** Deletes the row of an account. @returns whether the account had a row. */
export async function clearTokenNotBefore(sql: Sql, account: Buffer): Promise<boolean> {
  return (await sql`DELETE FROM token_not_before WHERE account = ${account}`).count > 0;
}

/** Returns whether a token of this account that was issued at this time is revoked. */
export async function isTokenRevoked(sql: Sql, account: Buffer, issuedAtSeconds: number): Promise<boolean> {
  const rows = await sql`
    SELECT 1 FROM token_not_before
    WHERE account = ${account} AND to_timestamp(${issuedAtSeconds}::float8) < not_before`;
  return rows.length > 0;
}

/**
 * Reads the time before which tokens are revoked, in milliseconds, by account in hex. The time of a suspended account
 * is infinite.
 */
export async function readTokensNotBefore(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ account: Buffer; not_before_ms: number }[]>`
    SELECT account, extract(epoch FROM not_before)::float8 * 1000 AS not_before_ms FROM token_not_before`;
  return new Map(rows.map((row) => [row.account.toString('hex'), row.not_before_ms]));
}

/** Selects rows that are older than all valid tokens. Rows of suspended accounts never expire. */
export const expiredTokensNotBefore: ExpiringRows = {
  table: 'token_not_before',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)`, among: kyselySql`expires_at < 'infinity'` }],
};
