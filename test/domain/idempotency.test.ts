import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { newUuid } from '#platform/ids.ts';
import { randomPlcDid } from '../support/clients/account.ts';
import { startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
beforeAll(async () => void (harness = await startDomainHarness()));
afterAll(() => harness?.close());

/** A call that stays in its transaction until `end` is called. */
interface HeldCall {
  readonly answer: Promise<string>;
  readonly started: Promise<void>;
  readonly hasStarted: () => boolean;
  end(how: 'answer' | 'throw'): void;
}

function hold(server: TestServer, key: string, did: string, answer: string): HeldCall {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<'answer' | 'throw'>();
  let hasStarted = false;
  const call = { caller: { did }, method: 'addMembers', key, input: { convoId: 'aa' } } as const;
  const running = server.db.transaction().execute((tx) =>
    withIdempotency(server, tx, call, async () => {
      hasStarted = true;
      started.resolve();
      if ((await ended.promise) === 'throw') throw new RangeError('no such luck');
      return answer;
    }),
  );
  running.catch(() => undefined);
  return { answer: running, started: started.promise, hasStarted: () => hasStarted, end: ended.resolve };
}

/** Until another connection of this database waits for a lock. */
async function somebodyWaits(): Promise<void> {
  const waiting = async (): Promise<number> => {
    const rows = await harness.database.sql`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return rows.length;
  };
  await expect.poll(waiting).toBeGreaterThan(0);
}

test('a duplicate in flight waits on another server, and gets the answer of the first without being run', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = hold(harness.server, key, did, 'first');
  await first.started;
  const second = hold(harness.addServer(2), key, did, 'second');
  await somebodyWaits();
  first.end('answer');
  expect(await second.answer).toBe('first');
  expect([await first.answer, second.hasStarted()]).toEqual(['first', false]);
});

test('when the first fails, the one that waited is run', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = hold(harness.server, key, did, 'first');
  await first.started;
  const second = hold(harness.addServer(2), key, did, 'second');
  await somebodyWaits();
  first.end('throw');
  await expect(first.answer).rejects.toThrow('no such luck');
  await second.started;
  second.end('answer');
  expect(await second.answer).toBe('second');
});

test('another key, another caller and a call without a key do not wait', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = hold(harness.server, key, did, 'first');
  await first.started;
  for (const [otherKey, otherDid] of [
    [newUuid(), did],
    [key, randomPlcDid()],
    ['', did],
  ] as const) {
    const other = hold(harness.server, otherKey, otherDid, 'other');
    other.end('answer');
    expect(await other.answer).toBe('other');
  }
  first.end('answer');
  await first.answer;
});
