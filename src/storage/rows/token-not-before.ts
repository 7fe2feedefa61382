import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/**
 * Refuses the tokens of an account that were issued before a time; `account` is a pseudonym of purpose
 * 'token-not-before'.
 */
export interface TokenNotBefore {
  readonly account: Buffer;
  /** Needed when the identity key is rotated. */
  readonly sealedDid: Buffer;
  /** `now` is the database's; `forever` refuses all tokens until the row is removed. */
  readonly notBefore: Date | 'now' | 'forever';
}

/** How long a row is stored after its time: longer than the lifetime of a token and the difference of clocks. */
const keptSeconds = 600;

/** Sets the time of an account and replaces an earlier one. @returns the stored time, undefined for `forever`. */
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

/** Removes the row of an account. @returns whether there was one. */
export async function clearTokenNotBefore(sql: Sql, account: Buffer): Promise<boolean> {
  return (await sql`DELETE FROM token_not_before WHERE account = ${account}`).count > 0;
}

/** Whether a token issued at this time is refused for this account. */
export async function isTokenRevoked(sql: Sql, account: Buffer, issuedAtSeconds: number): Promise<boolean> {
  const rows = await sql`
    SELECT 1 FROM token_not_before
    WHERE account = ${account} AND to_timestamp(${issuedAtSeconds}::float8) < not_before`;
  return rows.length > 0;
}

/** Every account whose tokens are refused, with the time in milliseconds; infinite for a suspended account. */
export async function readTokensNotBefore(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ account: Buffer; not_before_ms: number }[]>`
    SELECT account, extract(epoch FROM not_before)::float8 * 1000 AS not_before_ms FROM token_not_before`;
  return new Map(rows.map((row) => [row.account.toString('hex'), row.not_before_ms]));
}

/** Rows of suspended accounts never expire. */
export const expiredTokensNotBefore: ExpiringRows = {
  table: 'token_not_before',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)`, among: kyselySql`expires_at < 'infinity'` }],
};
