import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { createPostgresNotifier } from '#storage/notifications/notifier.ts';
import type { Notifier } from '#storage/notifications/notifier.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

let database: TestDatabase;
const pools: Database[] = [];
let here: Notifier;
let there: Notifier;
const errors: unknown[] = [];
let ringsHere = 0;
let ringsThere = 0;
const gotHere: Buffer[] = [];
const gotThere: Buffer[] = [];

async function startDoorbell(): Promise<Notifier> {
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
  here = await startDoorbell();
  there = await startDoorbell();
  here.onNotify(() => (ringsHere += 1));
  there.onNotify(() => (ringsThere += 1));
  here.onBroadcast((payload) => gotHere.push(payload));
  there.onBroadcast((payload) => gotThere.push(payload));
});

afterAll(async () => {
  await Promise.all([here.close(), there.close()]);
  await Promise.all(pools.map((pool) => pool.close()));
  await database.close();
  // Whatever a notifier reports in any test above fails the file.
  if (errors.length > 0) throw new AggregateError(errors);
});

test('a ring at one server wakes the other, and its own readers at once', async () => {
  const before = { here: ringsHere, there: ringsThere };
  here.ring();
  expect(ringsHere).toBe(before.here + 1);
  await until(() => ringsThere > before.there);
  there.ring();
  await until(() => ringsHere > before.here + 1);
  await systemClock.sleep(50);
  expect(ringsHere, 'a server heard its own notification').toBe(before.here + 2);
});

test('many rings within a few milliseconds become few notifications, and the last one is not lost', async () => {
  const before = ringsThere;
  for (let index = 0; index < 1_000; index++) here.ring();
  await until(() => ringsThere > before);
  await systemClock.sleep(50);
  expect(ringsThere - before).toBeLessThanOrEqual(2);
  const last = ringsThere;
  here.ring();
  await until(() => ringsThere > last);
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

test('broadcasts of both servers at once do not mix', async () => {
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
