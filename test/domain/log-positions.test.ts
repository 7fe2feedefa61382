import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { positionBefore } from '#domain/events/event.ts';
import { readHorizonLag } from '#domain/events/read-horizon-lag.ts';
import { readLogEnd, readTail } from '#domain/events/read-events.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Sql } from '#storage/connection/database.ts';
import { randomPeople, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';
import { errorCode } from '../support/error-code.ts';

/*
 * The statements of migrations/0017 are tried one by one: a lock that the test holds stops a writer or a reader between
 * two statements, so that every order of the two is run.
 */
const alice = randomPeople(1)[0] ?? '';
const gateKey = 77;

let harness: DomainHarness;
let conversations: TestConversation[];
let writersAsMigrated: string;
/** Connections of writers, readers and gates. */
let sql: Sql;

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 4 });
  ({ sql } = harness.addServer(12));
  conversations = await Promise.all(Array.from({ length: 4 }, () => harness.createConversation([alice])));
  const [row] = await sql<{ definition: string }[]>`SELECT pg_get_functiondef('log_writers'::regproc) AS definition`;
  writersAsMigrated = row?.definition ?? '';
});
afterEach(() => sql.unsafe(writersAsMigrated));
afterAll(() => harness.close());

type Session = Awaited<ReturnType<Sql['reserve']>>;

async function beginSession(): Promise<Session> {
  const session = await sql.reserve();
  await session`BEGIN`;
  return session;
}

async function end(session: Session, how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await session.unsafe(how);
  session.release();
}

/** Appends one message to the conversation with this index. */
async function append(session: Session, index: number): Promise<void> {
  const { groupId } = conversations[index] ?? { groupId: Buffer.alloc(0) };
  const member = memberPseudonym(harness.privacy, groupId, alice);
  const rows = await session<{ outcome: string }[]>`
    SELECT outcome FROM store_messages(
      ARRAY[${groupId}::bytea], ARRAY[${member}::bytea], ARRAY[0::bigint], ARRAY[${newUuid()}::text],
      ARRAY[${newSecret(512)}::bytea], 60)`;
  expect(rows[0]?.outcome).toBe('stored');
}

async function pidOf(session: Session): Promise<number> {
  const [row] = await session<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  return row?.pid ?? 0;
}

const groupsOf = (events: readonly EventRow[]): number[] =>
  events.map(({ groupId }) => conversations.findIndex((conversation) => conversation.groupId.equals(groupId)));

const readAllGroups = async (from: LogPosition): Promise<number[]> =>
  groupsOf((await readTail(harness.server, from, { limit: 100, gaps: 'pass' })).events);

/** Makes a position that no event has, so that readers search for its writer. */
async function leaveGap(): Promise<void> {
  const doomed = await beginSession();
  await append(doomed, 1);
  await end(doomed, 'ROLLBACK');
}

async function waitsForLock(query: string): Promise<void> {
  const readBlocked = async (): Promise<unknown> => harness.database.sql`
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE ${`%${query}%`}`;
  await expect.poll(readBlocked, { timeout: 5_000, interval: 5 }).not.toEqual([]);
}

/** Makes readers wait for a lock `before` or `after` they read the list of open writers. */
async function gateReaders(when: 'before' | 'after'): Promise<Session> {
  const gate = await beginSession();
  await gate`SELECT pg_advisory_xact_lock(${gateKey})`;
  const wait = `PERFORM pg_advisory_xact_lock_shared(${gateKey});`;
  const fromLocks = /SELECT l\.pid[^$]*/.exec(writersAsMigrated)?.[0] ?? '';
  await sql.unsafe(`
    CREATE OR REPLACE FUNCTION log_writers() RETURNS TABLE (pid integer, low bigint) LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      ${when === 'before' ? wait : ''}
      RETURN QUERY ${fromLocks};
      ${when === 'after' ? wait : ''}
    END $$`);
  return gate;
}

test("a writer's lock is visible before it takes a position, and the position is above the one in the lock", async () => {
  const gate = await beginSession();
  // This lock blocks nextval, but not reads of the sequence.
  await gate`ALTER SEQUENCE log_positions CACHE 1`;
  const writer = await beginSession();
  const pid = await pidOf(writer);
  const writing = append(writer, 0);
  await waitsForLock('store_messages');
  const [shown] = await sql<{ pid: number; low: number }[]>`SELECT pid, low FROM log_writers()`;
  expect(shown?.pid).toBe(pid);
  await end(gate, 'ROLLBACK');
  await writing;
  const [own] = await writer<{ position: number }[]>`SELECT max(position) AS position FROM events`;
  expect(own?.position).toBeGreaterThan(shown?.low ?? Infinity);
  await end(writer, 'COMMIT');
  expect(await sql`SELECT 1 FROM log_writers()`).toEqual([]);
});

test('the events of a writer that begins after a reader has read the locks are read later', async () => {
  const from = await readLogEnd(harness.server);
  await leaveGap();
  const first = await beginSession();
  await append(first, 0);
  await end(first, 'COMMIT');
  const gate = await gateReaders('after');
  const reading = readAllGroups(from);
  await waitsForLock('read_log');
  // Both take positions that the reader has not seen in the locks; the later event is visible at once.
  const slow = await beginSession();
  await append(slow, 1);
  const quick = await beginSession();
  await append(quick, 2);
  await end(quick, 'COMMIT');
  await end(gate, 'COMMIT');
  expect(await reading).toEqual([0]);
  await end(slow, 'COMMIT');
  await sql.unsafe(writersAsMigrated);
  expect(await readAllGroups(from)).toEqual([0, 1, 2]);
});

test('the events of a writer that ends before a reader reads the locks are read', async () => {
  const from = await readLogEnd(harness.server);
  await leaveGap();
  const slow = await beginSession();
  await append(slow, 0);
  const quick = await beginSession();
  await append(quick, 1);
  await end(quick, 'COMMIT');
  const gate = await gateReaders('before');
  const reading = readAllGroups(from);
  await waitsForLock('read_log');
  await end(slow, 'COMMIT');
  await end(gate, 'COMMIT');
  expect(await reading).toEqual([0, 1]);
});

test.each(['pass', 'await'] as const)(
  'the first position after the end of the log is not passed while its writer is open (gaps: %s)',
  async (gaps) => {
    const from = await readLogEnd(harness.server);
    const slow = await beginSession();
    await append(slow, 0);
    const quick = await beginSession();
    await append(quick, 1);
    await end(quick, 'COMMIT');
    expect(await readTail(harness.server, from, { limit: 100, gaps })).toMatchObject({ events: [], isHeld: true });
    await end(slow, 'COMMIT');
    expect(groupsOf((await readTail(harness.server, from, { limit: 100, gaps })).events)).toEqual([0, 1]);
  },
);

test('a reader that awaits gaps stops at one, and one that passes them continues; without a gap neither reads the locks', async () => {
  const from = await readLogEnd(harness.server);
  const appendNow = async (index: number): Promise<void> => {
    const session = await beginSession();
    await append(session, index);
    await end(session, 'COMMIT');
  };
  for (const index of [0, 1, 0]) await appendNow(index);
  await leaveGap();
  for (const index of [2, 3]) await appendNow(index);
  const gate = await gateReaders('before');
  const first = await readTail(harness.server, from, { limit: 100, gaps: 'await' });
  expect([groupsOf(first.events), first.isHeld]).toEqual([[0, 1, 0], true]);
  const last = first.events.at(-1) ?? from;
  expect(await readTail(harness.server, last, { limit: 100, gaps: 'await' })).toMatchObject({
    events: [],
    isHeld: true,
  });
  await end(gate, 'COMMIT');
  const second = await readTail(harness.server, last, { limit: 100, gaps: 'pass' });
  expect([groupsOf(second.events), second.isHeld]).toEqual([[2, 3], false]);
  const theEnd = second.events.at(-1) ?? from;
  expect(await readTail(harness.server, theEnd, { limit: 100, gaps: 'pass' })).toMatchObject({
    events: [],
    isHeld: false,
  });
});

test('the end of the log is the position of an event, so that unused positions may be used again', async () => {
  const first = await beginSession();
  await append(first, 0);
  await end(first, 'COMMIT');
  const [stored] = await sql<{ position: number }[]>`SELECT max(position) AS position FROM events`;
  const logEnd = positionBefore((stored?.position ?? 0) + 1);
  for (let nth = 0; nth < 40; nth++) await leaveGap();
  expect(await readLogEnd(harness.server)).toEqual(logEnd);
  // As after a crash that lost WAL which was not on disk.
  await sql`SELECT setval('log_positions', ${stored?.position ?? 0})`;
  const next = await beginSession();
  await append(next, 2);
  await end(next, 'COMMIT');
  expect(await readAllGroups(logEnd)).toEqual([2]);
});

test('the horizon lag reports which connection delays events, and for how long', async () => {
  expect(await readHorizonLag(harness.server)).toEqual({ lagMs: 0, pid: 0 });
  const foreign = await beginSession();
  await foreign`SELECT pg_current_xact_id()`;
  const [older, newer] = [await beginSession(), await beginSession()];
  const pid = await pidOf(older);
  await harness.server.clock.sleep(150);
  await append(newer, 1);
  await append(older, 0);
  const lag = await readHorizonLag(harness.server);
  expect(lag.pid).toBe(pid);
  expect(lag.lagMs).toBeGreaterThanOrEqual(140);
  for (const session of [older, newer, foreign]) await end(session, 'ROLLBACK');
});

test('Postgres ends a writer that stays in its transaction within seconds', { timeout: 30_000 }, async () => {
  const idle = await beginSession();
  await append(idle, 0);
  const busy = await beginSession();
  await append(busy, 1);
  const failures: unknown[] = [];
  const record = (error: unknown): void => void failures.push(error);
  const startedMs = performance.now();
  const [version] = await sql<{ number: number }[]>`SELECT current_setting('server_version_num')::int AS number`;
  const hasTransactionTimeout = (version?.number ?? 0) >= 170_000;
  while (hasTransactionTimeout && failures.length === 0 && performance.now() - startedMs < 20_000)
    await busy`SELECT pg_sleep(0.2)`.catch(record);
  if (!hasTransactionTimeout) await end(busy, 'ROLLBACK');
  await expect.poll(() => sql`SELECT 1 FROM log_writers()`, { timeout: 20_000 }).toEqual([]);
  expect(performance.now() - startedMs).toBeLessThan(13_000);
  expect(failures.map(errorCode)).toEqual(hasTransactionTimeout ? ['CONNECTION_CLOSED'] : []);
});
