import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startAuditLog } from '#ops/audit-log.ts';
import type { AuditLog } from '#ops/audit-log.ts';
import type { AuditSubject } from '#ops/audit-subjects.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { readAuditEvents } from '#storage/rows/audit-events.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { createManualClock } from '../support/manual-clock.ts';

let database: TestDatabase;
beforeAll(async () => void (database = await createTestDatabase()));
afterAll(() => database.close());
beforeEach(() => database.sql`TRUNCATE audit_events`);

const clock = createManualClock(0);

function start(deps: { sql?: TestDatabase['sql']; onError?: (error: unknown) => void } = {}): AuditLog {
  const { sql = database.sql, onError = (error: unknown) => expect.unreachable(String(error)) } = deps;
  return startAuditLog({ sql, clock, timeBucketSeconds: 86_400, onError });
}

/** Sums over buckets, because midnight may pass during a test. */
async function totals(): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { kind, subject, count } of await readAuditEvents(database.db, 172_800)) {
    sums[`${kind} ${subject}`] = count + (sums[`${kind} ${subject}`] ?? 0);
  }
  return sums;
}

test('concurrent counts of two servers add up, and a stop writes the remaining counts', async () => {
  const [first, second] = [start(), start()];
  const flushes: Promise<void>[] = [];
  for (let nth = 1; nth <= 100; nth++) {
    first.record('auth_failure', 'JwtExpired');
    second.record('auth_failure', 'JwtExpired', 2);
    second.record('limit_hit', 'sendMessage');
    if (nth % 10 === 0) flushes.push(first.flush(), second.flush());
  }
  await Promise.all(flushes);
  first.record('ban', 'network');
  await Promise.all([first.stop(), second.stop()]);
  expect(await totals()).toEqual({
    'auth_failure JwtExpired': 300,
    'ban network': 1,
    'limit_hit sendMessage': 100,
  });
});

test('it writes once a minute, and not earlier', async () => {
  const log = start();
  log.record('ban', 'address');
  clock.advance(59_000);
  await sleep(50);
  expect(await totals()).toEqual({});
  clock.advance(1_000);
  while (Object.keys(await totals()).length === 0) await sleep(5);
  expect(await totals()).toEqual({ 'ban address': 1 });
  await log.stop();
});

test('while the database is unavailable, one count per subject stays in memory and is written later', async () => {
  const unavailable = openDatabase({
    url: 'postgres://nobody@127.0.0.1:1/none',
    poolSize: 1,
    applicationName: 'unavailable',
  });
  let { sql } = unavailable;
  // Uses the current value of `sql`, so that the test can switch databases.
  const currentSql = ((...args: Parameters<typeof sql>) => sql(...args)) as typeof sql;
  const errors: unknown[] = [];
  const log = start({ sql: currentSql, onError: (error) => errors.push(error) });
  log.record('ban', 'address', 3);
  await expect(log.flush()).rejects.toThrow('ECONNREFUSED');
  log.record('ban', 'address', 4);
  await expect(log.flush()).rejects.toThrow('ECONNREFUSED');
  ({ sql } = database);
  await log.stop();
  expect(await totals()).toEqual({ 'ban address': 7 });
  await unavailable.close();
});

test('only refusals of a token, for a limit or of an address are counted', async () => {
  const log = start();
  const refusals: readonly (readonly [error: string, quota?: string])[] = [
    ['none'],
    ['JwtReplayed'],
    ['BadTicket'],
    ['ConvoNotFound'],
    ['InternalServerError'],
    ['ServiceUnavailable'],
    ['UnknownAddress'],
    ['RateLimitExceeded', 'sendMessage'],
    ['RateLimitExceeded', 'did:plc:someone'],
    ['did:plc:someone'],
  ];
  for (const [error, quota] of refusals) log.recordRefusal({ error, quota });
  await log.stop();
  expect(await totals()).toEqual({
    'address_refused UnknownAddress': 1,
    'auth_failure BadTicket': 1,
    'auth_failure JwtReplayed': 1,
    'limit_hit sendMessage': 1,
    'limit_hit unknown': 1,
  });
});

test('no other subject can be recorded: the compiler rejects it, and at run time it is stored as unknown', async () => {
  const log = start();
  // @ts-expect-error - not a subject of this kind
  log.record('ban', 'JwtExpired');
  // @ts-expect-error - not a subject of any kind
  log.record('auth_failure', 'did:plc:someone');
  const subject = 'alice.example.com' as AuditSubject<'auth_failure'>;
  log.record('auth_failure', subject);
  await log.stop();
  expect(await totals()).toEqual({ 'auth_failure unknown': 2, 'ban unknown': 1 });
});
