import { createBatcher } from '#platform/batcher.ts';
import type { Clock } from '#platform/clock.ts';
import { required } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Sql } from '#storage/connection/database.ts';
import { createReplayRecord, claimReplayEntries } from '#storage/rows/replay-entries.ts';
import type { ReplayEntry, TokenAge } from '#storage/rows/replay-entries.ts';
import { isTokenRevoked } from '#storage/rows/token-not-before.ts';

/**
 * `before-record`: the record of used tokens is younger than the token, so nobody knows. `just-before-record`: the same, and the token
 * is so new that its sender could not know. `revoked`: an operator refuses tokens of this age to the account.
 */
export type ReplayResult = 'first' | 'replayed' | 'before-record' | 'just-before-record' | 'revoked';

export interface TokenTimes {
  readonly issuedAtSeconds: number | undefined;
  readonly expiresAtSeconds: number;
  /** Whom the token speaks for, if that is not its issuer. */
  readonly did?: string;
}

/** Lets each (issuer, jti) through once, across all servers that share the store. */
export interface ReplayGuard {
  /**
   * Call after the signature was verified, so that forged tokens cannot fill the record.
   * @throws whatever the store throws: a token that cannot be checked is not accepted.
   */
  firstUse(issuer: string, jti: string, token: TokenTimes): Promise<ReplayResult>;
  /** For servers that let tokens be used again: whether an operator refuses this one. */
  isRevoked(did: string, token: TokenTimes): Promise<boolean>;
  /** Starts the record, for a server to await before it listens; waits out the second in which it was made. */
  ensureBorn(): Promise<void>;
}

export interface ReplayGuardDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** A keyed digest of (issuer, jti) under a key or scope of the day on which the token expires. */
  readonly digest: (issuer: string, jti: string, expiresAtSeconds: number) => Buffer;
  /** A keyed pseudonym under which operators refuse somebody's tokens. */
  readonly account: (did: string) => Buffer;
  /** An entry is kept for at least this long. */
  readonly ttlSeconds: number;
}

/** Whoever gets a new token for every call sends it within this time, with the wait in a server and a clock that is late. */
const newTokenMs = 30_000;

interface Question extends ReplayEntry, TokenAge {}

/** Requests that arrive while a statement runs go into the next one together. */
export function createReplayGuard(deps: ReplayGuardDeps): ReplayGuard {
  const ask = createBatcher((questions: readonly Question[]) => judge(deps, questions));
  return {
    async firstUse(issuer, jti, token) {
      const verdict = await ask({
        digest: deps.digest(issuer, jti, token.expiresAtSeconds),
        expiresAtSeconds: keepUntilSeconds(deps, token),
        account: deps.account(token.did ?? issuer),
        issuedAtSeconds: earliestIssueSeconds(token),
      });
      return required(verdict, 'a verdict');
    },
    isRevoked: (did, token) => isTokenRevoked(deps.sql, deps.account(did), earliestIssueSeconds(token)),
    async ensureBorn() {
      const { bornAt, isNew } = await createReplayRecord(deps.sql);
      // A token's iat has whole seconds: one minted right after the birth would seem older than it.
      if (isNew) await deps.clock.sleep(1_000 - (bornAt.getTime() % 1_000));
    },
  };
}

function earliestIssueSeconds({ issuedAtSeconds, expiresAtSeconds }: TokenTimes): number {
  return issuedAtSeconds ?? expiresAtSeconds - limits.tokenLifetimeSecondsMax;
}

/** Twice the leeway: once for the issuer's clock, once for a difference between ours and the database's. */
function keepUntilSeconds({ clock, ttlSeconds }: ReplayGuardDeps, token: TokenTimes): number {
  const ttlEnd = Math.ceil(clock.nowMs() / 1_000) + ttlSeconds;
  return Math.max(ttlEnd, token.expiresAtSeconds + 2 * limits.clockLeewaySeconds);
}

async function judge({ sql, clock }: ReplayGuardDeps, questions: readonly Question[]): Promise<ReplayResult[]> {
  const byDigest = new Map(questions.map((question) => [question.digest.toString('hex'), question]));
  const entries = [...byDigest.values()].toSorted((a, b) => a.digest.compare(b.digest));
  const claimed = await claimReplayEntries(sql, entries, questions);
  const bornAtMs = (claimed.bornAt ?? (await createReplayRecord(sql)).bornAt).getTime();
  const unclaimed = new Set(claimed.first);
  return questions.map((question, place) => {
    const isFirst = unclaimed.delete(question.digest.toString('hex'));
    if (claimed.revoked.has(place)) return 'revoked';
    const issuedAtMs = 1_000 * question.issuedAtSeconds;
    if (issuedAtMs < bornAtMs) return clock.nowMs() - issuedAtMs <= newTokenMs ? 'just-before-record' : 'before-record';
    return isFirst ? 'first' : 'replayed';
  });
}
