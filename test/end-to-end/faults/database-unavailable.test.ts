import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { createAccount } from '../../support/clients/account.ts';
import { craftMessage, createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import { startTestBed, startTestServer } from '../../support/test-server.ts';
import type { TestServer } from '../../support/test-server.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';
import type { XrpcFailure } from '../../support/clients/xrpc-client.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function expectUnavailable(refusal: XrpcFailure): void {
  expect({ status: refusal.status, error: refusal.error }).toEqual({ status: 503, error: 'ServiceUnavailable' });
  expect(Number(refusal.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
}

const loggedStates = (server: TestServer): unknown[] =>
  server.logLines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event === 'request_failed')
    .map(({ sqlstate }) => sqlstate);

test('a request that waits too long for a lock, or loses its connection, gets 503, and a retry succeeds', async () => {
  const bed = await startTestBed();
  cleanUps.push(() => bed.stop());
  const alice = bed.client();
  const conversation = await createCraftedConversation(alice, [bed.client()]);
  const locker = postgres(bed.database.url, { max: 1, onnotice: () => undefined });
  cleanUps.push(() => locker.end({ timeout: 1 }));
  const message = craftMessage(conversation, { msgId: newUuid() });
  const lockConnection = await locker.reserve();
  await lockConnection`BEGIN`;
  await lockConnection`SELECT * FROM conversations FOR UPDATE`;
  await lockConnection`LOCK TABLE conversation_counters IN ACCESS EXCLUSIVE MODE`;

  expectUnavailable(await alice.refusal('sendMessage', message));
  expect(loggedStates(bed.server())).toEqual(['55P03']);

  const waiting = alice.refusal('sendMessage', message);
  for (let ended = 0; ended === 0; await systemClock.sleep(20)) {
    const rows = await bed.database.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'nightjar-server' AND wait_event_type = 'Lock'`;
    ended = rows.length;
  }
  expectUnavailable(await waiting);
  // postgres.js does not report the reason that Postgres gave for closing the connection.
  expect(loggedStates(bed.server())).toEqual(['55P03', undefined]);

  await lockConnection`ROLLBACK`;
  lockConnection.release();
  expect((await alice.call('sendMessage', message)).seq).toBe(1);
});

/**
 * A port that stays the same while the embedded Postgres behind it gets a new one at each start; it refuses connections
 * meanwhile.
 */
async function startRelay(): Promise<{ port: number; open(target: number): Promise<void>; close(): Promise<void> }> {
  let target = 0;
  let port = 0;
  const sockets = new Set<Socket>();
  const relay = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  const open = async (to: number): Promise<void> => {
    target = to;
    relay.listen(port, '127.0.0.1');
    await once(relay, 'listening');
    ({ port } = relay.address() as AddressInfo);
  };
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => relay.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  cleanUps.push(close);
  return {
    get port() {
      return port;
    },
    open,
    close,
  };
}

test(
  'with Postgres stopped every call returns 503, and calls succeed again after its start',
  { timeout: 60_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nightjar-away-'));
    cleanUps.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const start = (): ReturnType<typeof startEmbeddedPostgres> =>
      startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
    let embedded = await start();
    cleanUps.push(() => embedded.stop());
    const plc = await startLoopbackPlc();
    cleanUps.push(() => plc.close());
    const relay = await startRelay();
    await relay.open(embedded.port);
    const databaseUrl = embedded.url.replace(`:${embedded.port}`, `:${relay.port}`);
    const server = await startTestServer({ databaseUrl, plcUrl: plc.url, env: { MIGRATE_ON_START: 'true' } });
    cleanUps.push(() => server.stop());
    const alice = createXrpcClient({ server, account: createAccount(plc) });
    const bob = createXrpcClient({ server, account: createAccount(plc) });
    const conversation = await createCraftedConversation(alice, [bob]);
    await sendCrafted(alice, conversation);

    await relay.close();
    await embedded.stop();
    expectUnavailable(await alice.refusal('sendMessage', craftMessage(conversation)));
    expectUnavailable(await bob.refusal('getMessages', { convoId: conversation.convoId }));
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);

    embedded = await start();
    await relay.open(embedded.port);
    const deadlineMs = performance.now() + 20_000;
    for (;;) {
      const response = await bob.call('getMessages', { convoId: conversation.convoId }).catch(() => undefined);
      if (response !== undefined) {
        expect(response.messages.map(({ seq }) => seq)).toEqual([1]);
        break;
      }
      if (performance.now() > deadlineMs) throw new Error('the server did not reconnect to Postgres');
      await systemClock.sleep(200);
    }
  },
);
