import { afterAll, beforeAll, expect, test } from 'vitest';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { newUuid } from '#platform/ids.ts';
import { randomPlcDid } from '../support/clients/account.ts';
import { startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
beforeAll(async () => void (harness = await startDomainHarness()));
afterAll(() => harness?.close());

/** A call whose transaction stays open until `end` is called. */
interface OpenCall {
  readonly result: Promise<string>;
  readonly started: Promise<void>;
  readonly hasStarted: () => boolean;
  end(how: 'result' | 'throw'): void;
}

function openCall(server: TestServer, key: string, did: string, result: string): OpenCall {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<'result' | 'throw'>();
  let hasStarted = false;
  const call = { caller: { did }, method: 'addMembers', key, input: { convoId: 'aa' } } as const;
  const running = server.db.transaction().execute((tx) =>
    withIdempotency(server, tx, call, async () => {
      hasStarted = true;
      started.resolve();
      if ((await ended.promise) === 'throw') throw new RangeError('the call failed');
      return result;
    }),
  );
  running.catch(() => undefined);
  return { result: running, started: started.promise, hasStarted: () => hasStarted, end: ended.resolve };
}

/** Waits until another connection of this database waits for a lock. */
async function waitForBlockedConnection(): Promise<void> {
  const waiting = async (): Promise<number> => {
    const rows = await harness.database.sql`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return rows.length;
  };
  await expect.poll(waiting).toBeGreaterThan(0);
}

test('a concurrent duplicate on another server waits, and gets the result of the first without being run', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = openCall(harness.server, key, did, 'first');
  await first.started;
  const second = openCall(harness.addServer(2), key, did, 'second');
  await waitForBlockedConnection();
  first.end('result');
  expect(await second.result).toBe('first');
  expect([await first.result, second.hasStarted()]).toEqual(['first', false]);
});

test('when the first call fails, the waiting duplicate is run', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = openCall(harness.server, key, did, 'first');
  await first.started;
  const second = openCall(harness.addServer(2), key, did, 'second');
  await waitForBlockedConnection();
  first.end('throw');
  await expect(first.result).rejects.toThrow('the call failed');
  await second.started;
  second.end('result');
  expect(await second.result).toBe('second');
});

test('another key, another caller and a call without a key do not wait', async () => {
  const [key, did] = [newUuid(), randomPlcDid()];
  const first = openCall(harness.server, key, did, 'first');
  await first.started;
  for (const [otherKey, otherDid] of [
    [newUuid(), did],
    [key, randomPlcDid()],
    ['', did],
  ] as const) {
    const other = openCall(harness.server, otherKey, otherDid, 'other');
    other.end('result');
    expect(await other.result).toBe('other');
  }
  first.end('result');
  await first.result;
});
