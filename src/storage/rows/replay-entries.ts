import { sql as kyselySql } from 'kysely';
import type { Sql } from '../connection/database.ts';
import { byteaArray } from '../sql/bytea-array.ts';
import type { ExpiringRows } from '../expiry/expiring-rows.ts';

/** Records the use of a token until `expiresAtSeconds`. The keyed digest reveals nothing without the key. */
export interface ReplayEntry {
  readonly digest: Buffer;
  readonly expiresAtSeconds: number;
}

/**
 * The account and the time of issue, which decide whether a token is revoked. `account` is a pseudonym of purpose
 * 'token-not-before'.
 */
export interface TokenAge {
  readonly account: Buffer;
  readonly issuedAtSeconds: number;
}

/** What is recorded about the use of a token, and what decides whether it may be used. */
export interface TokenMark extends ReplayEntry, TokenAge {}

/**
 * What a statement found about the token whose use it was to record. `undecided` means that the token is revoked, is
 * older than the record, or that there is no record.
 */
export type TokenResult = 'first' | 'replayed' | 'undecided';

export interface ClaimedReplayEntries {
  /** Hex digests of tokens that were not used before. */
  readonly first: ReadonlySet<string>;
  /** Indexes in `ages` of the tokens that are revoked. */
  readonly revoked: ReadonlySet<number>;
  /** The start of the record, or undefined after a crash of Postgres, which empties unlogged tables. */
  readonly bornAt: Date | undefined;
}

/**
 * Records uses of tokens in one round trip, and returns which uses are new and which tokens are revoked. Reads the
 * start of the record in the same snapshot, so that no use after that start is missing.
 * @param entries must be distinct and in digest order, so that two servers with the same digests do not deadlock.
 */
export async function claimReplayEntries(
  sql: Sql,
  entries: readonly ReplayEntry[],
  ages: readonly TokenAge[],
): Promise<ClaimedReplayEntries> {
  const [row] = await sql<{ born_at: Date | null; first: string | null; revoked: string | null }[]>`
    WITH claimed AS (
      INSERT INTO replay_entries (digest, expires_at)
      SELECT entry.digest, to_timestamp(entry.expires_at)
      FROM unnest(${byteaArray(entries.map(({ digest }) => digest))}::bytea[],
                  ${entries.map(({ expiresAtSeconds }) => expiresAtSeconds)}::float8[])
        WITH ORDINALITY AS entry (digest, expires_at, place)
      ORDER BY entry.place
      ON CONFLICT DO NOTHING
      RETURNING digest
    ), revoked AS (
      SELECT token.place - 1 AS place
      FROM unnest(${byteaArray(ages.map(({ account }) => account))}::bytea[],
                  ${ages.map(({ issuedAtSeconds }) => issuedAtSeconds)}::float8[])
        WITH ORDINALITY AS token (account, issued_at, place)
      JOIN token_not_before AS bound ON bound.account = token.account
        AND bound.not_before > to_timestamp(token.issued_at)
    )
    SELECT (SELECT born_at FROM replay_birth) AS born_at,
      (SELECT string_agg(encode(digest, 'hex'), ',') FROM claimed) AS first,
      (SELECT string_agg(place::text, ',') FROM revoked) AS revoked`;
  return {
    first: new Set(row?.first?.split(',')),
    revoked: new Set(row?.revoked?.split(',').map(Number)),
    bornAt: row?.born_at ?? undefined,
  };
}

/** Stores the present time as the start of the record, unless there is a start already. */
export async function createReplayRecord(sql: Sql): Promise<{ readonly bornAt: Date; readonly isNew: boolean }> {
  const [born] = await sql<{ born_at: Date }[]>`
    INSERT INTO replay_birth (born_at) VALUES (now()) ON CONFLICT DO NOTHING RETURNING born_at`;
  if (born !== undefined) return { bornAt: born.born_at, isNew: true };
  const [known] = await sql<{ born_at: Date }[]>`SELECT born_at FROM replay_birth`;
  return known === undefined ? createReplayRecord(sql) : { bornAt: known.born_at, isNew: false };
}

/** Selects the entries of expired tokens and tickets, which are refused even without an entry. */
export const expiredReplayEntries: ExpiringRows = {
  table: 'replay_entries',
  isExpired: kyselySql<boolean>`expires_at < now()`,
  first: [{ at: kyselySql`min(expires_at)` }],
};
