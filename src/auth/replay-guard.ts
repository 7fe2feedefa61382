import { createBatcher } from '#platform/batcher.ts';
import type { Clock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Sql } from '#storage/connection/database.ts';
import { createReplayRecord, claimReplayEntries } from '#storage/rows/replay-entries.ts';
import type { TokenMark } from '#storage/rows/replay-entries.ts';
import { isTokenRevoked } from '#storage/rows/token-not-before.ts';

/**
 * The result of recording the use of a token. `before-record` means that the token is older than the record of used
 * tokens, so that an earlier use cannot be excluded. `just-before-record` means that the token is also younger than
 * `newTokenMs`. `revoked` means that an operator refuses the account's tokens of this age.
 */
export type ReplayResult = 'first' | 'replayed' | 'before-record' | 'just-before-record' | 'revoked';

export interface TokenTimes {
  readonly issuedAtSeconds: number | undefined;
  readonly expiresAtSeconds: number;
  /** The account of the token, if it is not the issuer. */
  readonly did?: string;
}

/** Accepts each pair of issuer and jti once, across all servers that share the database. */
export interface ReplayGuard {
  /** Returns what is recorded about the use of a token. */
  markOf(issuer: string, jti: string, token: TokenTimes): TokenMark;
  /**
   * Records the use of a token. Must be called after the signature was verified, so that forged tokens cannot fill the
   * record.
   * @throws Error of the database, so that a token that cannot be checked is not accepted.
   */
  record(mark: TokenMark): Promise<ReplayResult>;
  /** Records the use of the token with `markOf` and `record`. */
  firstUse(issuer: string, jti: string, token: TokenTimes): Promise<ReplayResult>;
  /**
   * Returns whether an operator refuses this token. Servers with ENFORCE_JTI=false call this, because they record no
   * uses.
   */
  isRevoked(did: string, token: TokenTimes): Promise<boolean>;
  /**
   * Creates the record of used tokens if there is none, and then waits for the end of the current second. A server
   * calls this before it listens.
   */
  ensureRecord(): Promise<void>;
}

export interface ReplayGuardDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** Returns a keyed digest of (issuer, jti), scoped to the day on which the token expires. */
  readonly digest: (issuer: string, jti: string, expiresAtSeconds: number) => Buffer;
  /** Returns the pseudonym under which the refusal of an account's tokens is stored. */
  readonly account: (did: string) => Buffer;
  /** Minimum time in seconds for which an entry is stored. */
  readonly ttlSeconds: number;
}

/**
 * Age up to which a token counts as new. A client that gets a token for each call sends it within this time, even with
 * a slow clock and a wait in the server.
 */
const newTokenMs = 30_000;

/** Creates a guard. Token uses that arrive while a statement runs are recorded together by the next statement. */
export function createReplayGuard(deps: ReplayGuardDeps): ReplayGuard {
  const recordUse = createBatcher((uses: readonly TokenMark[]) => recordUses(deps, uses));
  const markOf: ReplayGuard['markOf'] = (issuer, jti, token) => ({
    digest: deps.digest(issuer, jti, token.expiresAtSeconds),
    expiresAtSeconds: keepUntilSeconds(deps, token),
    account: deps.account(token.did ?? issuer),
    issuedAtSeconds: earliestIssueSeconds(token),
  });
  const record: ReplayGuard['record'] = async (mark) => required(await recordUse(mark), 'a replay result');
  return {
    markOf,
    record,
    firstUse: (issuer, jti, token) => record(markOf(issuer, jti, token)),
    isRevoked: (did, token) => isTokenRevoked(deps.sql, deps.account(did), earliestIssueSeconds(token)),
    async ensureRecord() {
      const { bornAt, isNew } = await createReplayRecord(deps.sql);
      // A token's iat has whole seconds, so a token issued in the second of the creation would seem older than the
      // record.
      if (isNew) await deps.clock.sleep(1_000 - (bornAt.getTime() % 1_000));
    },
  };
}

function earliestIssueSeconds({ issuedAtSeconds, expiresAtSeconds }: TokenTimes): number {
  return issuedAtSeconds ?? expiresAtSeconds - limits.tokenLifetimeSecondsMax;
}

/**
 * Returns the time until which an entry is stored. The leeway is added twice, once for the issuer's clock and once for
 * the difference between the clocks of server and database.
 */
function keepUntilSeconds({ clock, ttlSeconds }: ReplayGuardDeps, token: TokenTimes): number {
  const ttlEnd = Math.ceil(clock.nowMs() / 1_000) + ttlSeconds;
  return Math.max(ttlEnd, token.expiresAtSeconds + 2 * limits.clockLeewaySeconds);
}

async function recordUses({ sql, clock }: ReplayGuardDeps, uses: readonly TokenMark[]): Promise<ReplayResult[]> {
  const byDigest = new Map(uses.map((use) => [use.digest.toString('hex'), use]));
  const entries = [...byDigest.values()].toSorted((a, b) => a.digest.compare(b.digest));
  const claimed = await claimReplayEntries(sql, entries, uses);
  const bornAtMs = (claimed.bornAt ?? (await createReplayRecord(sql)).bornAt).getTime();
  const firstDigests = new Set(claimed.first);
  return uses.map((use, index) => {
    const isFirst = firstDigests.delete(use.digest.toString('hex'));
    if (claimed.revoked.has(index)) return 'revoked';
    const issuedAtMs = 1_000 * use.issuedAtSeconds;
    if (issuedAtMs < bornAtMs) return clock.nowMs() - issuedAtMs <= newTokenMs ? 'just-before-record' : 'before-record';
    return isFirst ? 'first' : 'replayed';
  });
}
