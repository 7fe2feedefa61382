import type { Clock } from '#platform/clock.ts';
import { InvariantError } from '#platform/errors.ts';
import type { Sql } from '#storage/database.ts';
import { callQuotaRows } from '#storage/quota-rows.ts';
import type { QuotaRowAnswer, QuotaRowCall } from '#storage/quota-rows.ts';
import { assertCost } from './gcra.ts';
import type { Outcome, QuotaRule } from './gcra.ts';
import type { BucketNames, QuotaStore } from './store.ts';

export interface PostgresStoreDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /**
   * Whose time counts. Servers' clocks differ, so `database` is the one that is right for more than one; `caller` takes
   * the times that are passed, for tests.
   */
  readonly timeOf: 'database' | 'caller';
}

/** Charges counted in Postgres, for all servers together. Names are hex. Everything rejects when the database fails. */
export interface PostgresStore extends QuotaStore {
  charge(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  peek(bucket: BucketNames, rule: QuotaRule, nowMs: number, cost?: number): Promise<Outcome>;
  giveBack(bucket: BucketNames, rule: QuotaRule, chargedAtMs: number, cost?: number): Promise<void>;
}

interface Question {
  readonly call: QuotaRowCall;
  readonly answer: (answer: QuotaRowAnswer | undefined) => void;
  readonly fail: (error: unknown) => void;
}

const questionsPerStatementMax = 1_000;

/** One statement runs at a time; what is asked meanwhile goes into the next one together. */
export function createPostgresStore(deps: PostgresStoreDeps): PostgresStore {
  const waiting: Question[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await answerBatch(deps.sql, waiting.splice(0, questionsPerStatementMax));
    isRunning = false;
  }

  function ask(
    act: QuotaRowCall['act'],
    { current, former, next }: BucketNames,
    { limit, burst, windowMs }: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<QuotaRowAnswer | undefined> {
    const isTold = deps.timeOf === 'caller';
    const atMs = isTold ? charge.atMs : undefined;
    const agoMs = isTold || act !== 'give back' ? 0 : Math.max(0, deps.clock.monotonicMs() - charge.atMs);
    return new Promise((answer, fail) => {
      const call = { act, current, former, next, limit, burst, windowMs, cost: charge.cost, atMs, agoMs };
      waiting.push({ call, answer, fail });
      if (!isRunning) void drain();
    });
  }

  async function outcomeOf(
    act: 'charge' | 'look',
    bucket: BucketNames,
    rule: QuotaRule,
    charge: { readonly atMs: number; readonly cost: number },
  ): Promise<Outcome> {
    assertCost(rule, charge.cost);
    const outcome = await ask(act, bucket, rule, charge);
    if (outcome === undefined) throw new InvariantError('a charge without an answer');
    return outcome;
  }

  return {
    charge: (bucket, rule, atMs, cost = 1) => outcomeOf('charge', bucket, rule, { atMs, cost }),
    peek: (bucket, rule, atMs, cost = 1) => outcomeOf('look', bucket, rule, { atMs, cost }),
    async giveBack(bucket, rule, atMs, cost = 1) {
      await ask('give back', bucket, rule, { atMs, cost });
    },
  };
}

/** Never throws: every question of the batch gets its answer or the error. */
async function answerBatch(sql: Sql, questions: readonly Question[]): Promise<void> {
  try {
    const answers = await callQuotaRows(
      sql,
      questions.map(({ call }) => call),
    );
    for (const [index, question] of questions.entries()) question.answer(answers[index]);
  } catch (error) {
    for (const question of questions) question.fail(error);
  }
}
