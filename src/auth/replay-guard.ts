import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import type { Sql } from '#storage/database.ts';
import { bearReplayRecord, claimReplayEntries } from '#storage/replay-entries.ts';
import type { ReplayEntry } from '#storage/replay-entries.ts';

/** `before-birth`: the record of used tokens is younger than the token, so nobody knows. */
export type ReplayVerdict = 'first' | 'replayed' | 'before-birth';

export interface TokenTimes {
  readonly issuedAtSeconds: number | undefined;
  readonly expiresAtSeconds: number;
}

/** Lets each (issuer, jti) through once, across all servers that share the store. */
export interface ReplayGuard {
  /**
   * Call after the signature was verified, so that forged tokens cannot fill the record.
   * @throws whatever the store throws: a token that cannot be checked is not accepted.
   */
  firstUse(issuer: string, jti: string, token: TokenTimes): Promise<ReplayVerdict>;
  /** Starts the record, for a server to await before it listens; waits out the second in which it was made. */
  ensureBorn(): Promise<void>;
}

export interface ReplayGuardDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** A keyed digest of (issuer, jti) under a key or scope of the day on which the token expires. */
  readonly digest: (issuer: string, jti: string, expiresAtSeconds: number) => Buffer;
  /** An entry is kept for at least this long. */
  readonly ttlSeconds: number;
}

interface Question extends ReplayEntry {
  readonly earliestIssueMs: number;
  readonly answer: (verdict: ReplayVerdict) => void;
  readonly fail: (error: unknown) => void;
}

const questionsPerStatementMax = 1_000;

/** One statement runs at a time; requests that arrive meanwhile go into the next one together. */
export function createReplayGuard(deps: ReplayGuardDeps): ReplayGuard {
  const waiting: Question[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await answerBatch(deps.sql, waiting.splice(0, questionsPerStatementMax));
    isRunning = false;
  }

  return {
    firstUse: (issuer, jti, token) =>
      new Promise((answer, fail) => {
        waiting.push({
          digest: deps.digest(issuer, jti, token.expiresAtSeconds),
          expiresAtSeconds: keepUntilSeconds(deps, token),
          earliestIssueMs: 1_000 * (token.issuedAtSeconds ?? token.expiresAtSeconds - limits.tokenLifetimeSecondsMax),
          answer,
          fail,
        });
        if (!isRunning) void drain();
      }),
    async ensureBorn() {
      const { bornAt, isNew } = await bearReplayRecord(deps.sql);
      // A token's iat has whole seconds: one minted right after the birth would seem older than it.
      if (isNew) await deps.clock.sleep(1_000 - (bornAt.getTime() % 1_000));
    },
  };
}

/** Twice the leeway: once for the issuer's clock, once for a difference between ours and the database's. */
function keepUntilSeconds({ clock, ttlSeconds }: ReplayGuardDeps, token: TokenTimes): number {
  const ttlEnd = Math.ceil(clock.nowMs() / 1_000) + ttlSeconds;
  return Math.max(ttlEnd, token.expiresAtSeconds + 2 * limits.clockLeewaySeconds);
}

/** Never throws: every question of the batch gets its answer or the error. */
async function answerBatch(sql: Sql, questions: readonly Question[]): Promise<void> {
  try {
    const byDigest = new Map(questions.map((question) => [question.digest.toString('hex'), question]));
    const entries = [...byDigest.values()].toSorted((a, b) => a.digest.compare(b.digest));
    const claimed = await claimReplayEntries(sql, entries);
    const bornAtMs = (claimed.bornAt ?? (await bearReplayRecord(sql)).bornAt).getTime();
    const unclaimed = new Set(claimed.first);
    for (const question of questions) {
      const isFirst = unclaimed.delete(question.digest.toString('hex'));
      if (question.earliestIssueMs < bornAtMs) question.answer('before-birth');
      else question.answer(isFirst ? 'first' : 'replayed');
    }
  } catch (error) {
    for (const question of questions) question.fail(error);
  }
}
