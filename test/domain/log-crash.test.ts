import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#storage/connection/database.ts';
import { createAccount } from '../support/clients/account.ts';
import { craftMessage, createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import type { EventStream } from '../support/clients/event-stream.ts';
import type { TestServer } from '../support/test-server.ts';
import { createXrpcClient, rawRequest } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';
import { startOwnPostgresServer } from '../support/postgres/own-postgres-server.ts';
import type { OwnPostgresServer } from '../support/postgres/own-postgres-server.ts';

let bed: OwnPostgresServer;
let database: Database;
let server: TestServer;
let alice: XrpcClient;
let bob: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  bed = await startOwnPostgresServer({ poolSize: 1, env: { QUOTA_STORE: 'memory' } });
  ({ database, server } = bed);
  // WAL that no commit has flushed stays in memory until the crash.
  await database.sql`ALTER SYSTEM SET wal_writer_delay = '10s'`;
  await database.sql`SELECT pg_reload_conf()`;
  [alice, bob] = [createAccount(bed.plc), createAccount(bed.plc)].map((account) =>
    createXrpcClient({ server, account }),
  ) as [XrpcClient, XrpcClient];
  conversation = await createCraftedConversation(alice, [bob]);
}, 60_000);
afterAll(() => bed.stop());

async function lastPosition(): Promise<number> {
  const [row] = await database.sql<{ last: number }[]>`SELECT last_value AS last FROM log_positions`;
  return row?.last ?? 0;
}

/**
 * Kills one backend with SIGKILL, so that Postgres ends all others and recovers.
 * @returns the last position before and after.
 */
async function crash(): Promise<{ before: number; after: number }> {
  const before = await lastPosition();
  const [backend] = await database.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  process.kill(backend?.pid ?? 0, 'SIGKILL');
  let after: number | undefined;
  const poll = async (): Promise<number | undefined> => (after = await lastPosition().catch(() => undefined));
  await expect.poll(poll, { timeout: 30_000 }).toBeTypeOf('number');
  return { before, after: after ?? 0 };
}

/** Sends one message, and retries while the database is unavailable. @returns its `seq`. */
async function send(): Promise<number> {
  const message = craftMessage(conversation);
  const attempt = async (): Promise<number> =>
    (await alice.raw('sendMessage', rawRequest('sendMessage', message))).status;
  await expect.poll(attempt, { timeout: 30_000 }).toBe(200);
  return (await alice.call('sendMessage', message)).seq;
}

async function openBobs(cursor?: string): Promise<EventStream> {
  let stream: EventStream | undefined;
  await expect
    .poll(async () => (stream = await openEventStream(bob, { cursor }).catch(() => undefined)), { timeout: 30_000 })
    .toBeDefined();
  return stream ?? expect.fail('no stream');
}

// Safe because a cursor has the position of an event that was read, and an event that can be read is on disk with its
// position.
test(
  'after a crash of Postgres every new event comes after the cursors of earlier streams, although positions are used again',
  { timeout: 120_000 },
  async () => {
    const live = await openBobs();
    let lostPositions = 0;
    for (let round = 0; round < 3; round++) {
      const seq = await send();
      await live.next('messageEvent', ({ message }) => message.seq === seq);
      // More positions than the sequence logs ahead.
      for (let nth = 0; nth < 80; nth++) await database.sql.unsafe('BEGIN; SELECT next_log_position(); ROLLBACK');
      // The tail has time to skip these positions, and a stream opens after them.
      await systemClock.sleep(100);
      const idle = await openBobs();
      const cursor = await idle.opened;
      await idle.close();
      const { before, after } = await crash();
      lostPositions += before - after;
      const next = await send();
      await live.next('messageEvent', ({ message }) => message.seq === next, 25_000);
      const resumed = await openBobs(cursor);
      await resumed.next('messageEvent', ({ message }) => message.seq === next);
      await resumed.close();
    }
    const seqs = live.events.flatMap((event) => ('message' in event ? [event.message.seq] : []));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    expect(lostPositions, 'the crashes lost no positions, so the test has proved nothing').toBeGreaterThan(30);
    await live.close();
  },
);
