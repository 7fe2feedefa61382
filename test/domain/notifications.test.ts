import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Notifier } from '#storage/notifications/notifier.ts';
import { createPostgresNotifier } from '#storage/notifications/postgres-notifier.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

let database: TestDatabase;
const pools: Database[] = [];
let here: Notifier;
let there: Notifier;
const errors: unknown[] = [];
let notifiedHere = 0;
let notifiedThere = 0;
const gotHere: Buffer[] = [];
const gotThere: Buffer[] = [];

async function startNotifier(): Promise<Notifier> {
  const pool = openDatabase({ url: database.url, poolSize: 2, applicationName: 'nightjar-test' });
  pools.push(pool);
  return createPostgresNotifier({ direct: pool.sql, clock: systemClock, onError: (error) => errors.push(error) });
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 5_000;
  while (!condition() && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(5);
  expect(condition()).toBe(true);
}

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
  here = await startNotifier();
  here.onNotify(() => (notifiedHere += 1));
  there = await startNotifier();
  there.onNotify(() => (notifiedThere += 1));
  // The servers announce themselves to each other.
  await until(() => notifiedHere > 0 && notifiedThere > 0);
  await systemClock.sleep(50);
  here.onBroadcast((payload) => gotHere.push(payload));
  there.onBroadcast((payload) => gotThere.push(payload));
});

afterAll(async () => {
  await Promise.all([here.close(), there.close()]);
  await Promise.all(pools.map((pool) => pool.close()));
  await database.close();
  // An error that a notifier reports in any test above fails the file.
  if (errors.length > 0) throw new AggregateError(errors);
});

test('a notification at one server reaches its own readers at once, and the other server', async () => {
  const before = { here: notifiedHere, there: notifiedThere };
  here.notify();
  expect(notifiedHere).toBe(before.here + 1);
  await until(() => notifiedThere > before.there);
  there.notify();
  await until(() => notifiedHere > before.here + 1);
  await systemClock.sleep(50);
  expect(notifiedHere, 'a server received its own notification').toBe(before.here + 2);
});

test('many calls within a few milliseconds become few notifications, and the last one is not lost', async () => {
  const before = notifiedThere;
  for (let index = 0; index < 1_000; index++) here.notify();
  await until(() => notifiedThere > before);
  await systemClock.sleep(50);
  expect(notifiedThere - before).toBeLessThanOrEqual(2);
  const last = notifiedThere;
  here.notify();
  await until(() => notifiedThere > last);
});

test.for([1, 5_400, 5_401, 20_000])('a broadcast of %i bytes arrives whole, once on each server', async (sizeBytes) => {
  const before = { here: gotHere.length, there: gotThere.length };
  const payload = newSecret(sizeBytes);
  here.broadcast(payload);
  await until(() => gotThere.length > before.there);
  await systemClock.sleep(20);
  expect(gotThere.slice(before.there).map((got) => got.equals(payload))).toEqual([true]);
  expect(gotHere.slice(before.here).map((got) => got.equals(payload))).toEqual([true]);
});

test('concurrent broadcasts of both servers arrive whole', async () => {
  const before = gotThere.length;
  const payloads = Array.from({ length: 20 }, () => newSecret(12_000));
  payloads.forEach((payload, index) => (index % 2 === 0 ? here : there).broadcast(payload));
  await until(() => gotThere.length >= before + payloads.length);
  expect(
    gotThere
      .slice(before)
      .map((got) => got.toString('base64'))
      .toSorted(),
  ).toEqual(payloads.map((payload) => payload.toString('base64')).toSorted());
});
