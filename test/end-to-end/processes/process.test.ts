import type { StreamEvent } from '#client/api/methods.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { createAccount } from '../../support/clients/account.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import type { ChildServer } from '../../support/processes/child-server.ts';
import { createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import { openRawSocket } from '../../support/clients/raw-streams.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../support/network/loopback-plc.ts';
import { startTestServer, testEnvironment } from '../../support/test-server.ts';
import { createXrpcClient } from '../../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../../support/clients/xrpc-client.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function newPlc(): Promise<LoopbackPlc> {
  const plc = await startLoopbackPlc();
  cleanUps.push(() => plc.close());
  return plc;
}

async function start(role: 'server' | 'all', env: Readonly<Record<string, string>>): Promise<ChildServer> {
  const server = await startChildServer(role, env);
  cleanUps.push(() => server.end('SIGTERM'));
  return server;
}

const seqsIn = (events: readonly StreamEvent[]): number[] =>
  events.flatMap((event) => ('message' in event ? [event.message.seq] : []));

const clientOf = (account: XrpcClient['account'], url: string): XrpcClient =>
  createXrpcClient({ server: { url, serviceDid: 'did:web:nightjar.test' }, account });

test(
  'SIGTERM: streams end with 1012, every acknowledged send is stored, the process exits 0',
  { timeout: 60_000 },
  async () => {
    const plc = await newPlc();
    const database = await createTestDatabase();
    cleanUps.push(() => database.close());
    const env = { ...testEnvironment({ plcUrl: plc.url }), DATABASE_URL: database.url, IDENTITY_KEY: newKeyRingText() };
    const server = await start('server', env);
    const [alice, bob] = [clientOf(createAccount(plc), server.url), clientOf(createAccount(plc), server.url)];
    const conversation = await createCraftedConversation(alice, [bob]);
    const streams = [await openRawSocket(alice), await openRawSocket(bob)];
    const pausedStream = await openRawSocket(bob);
    pausedStream.pause();

    const acknowledged = new Map<string, number>();
    let isStopping = false;
    const senders = Array.from({ length: 16 }, async () => {
      for (;;) {
        try {
          const { messageId, seq } = await sendCrafted(alice, conversation, { sizeBytes: 4_096 });
          acknowledged.set(messageId, seq);
        } catch (error) {
          if (!isStopping) throw error;
          return;
        }
      }
    });
    while (acknowledged.size < 100) await systemClock.sleep(10);
    isStopping = true;
    const startedMs = performance.now();
    const ended = server.end('SIGTERM');
    await Promise.all(senders);
    for (const stream of streams) expect((await stream.closed).code).toBe(1012);
    expect(await ended).toEqual({ exitCode: 0, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(9_000);
    expect(server.logged.slice(-2)).toEqual(['server_stopping', 'server_stopped']);

    const rows = await database.sql<{ id: string; seq: number }[]>`SELECT msg_id AS id, seq FROM messages ORDER BY seq`;
    const stored = new Map(rows.map(({ id, seq }) => [id, seq]));
    expect([...acknowledged].filter(([id, seq]) => stored.get(id) !== seq)).toEqual([]);
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_row, index) => index + 1));

    const successor = await startTestServer({
      databaseUrl: database.url,
      plcUrl: plc.url,
      identityKey: env.IDENTITY_KEY,
    });
    cleanUps.push(() => successor.stop());
    for (const [index, { account }] of [alice, bob].entries()) {
      const earlier = streams[index];
      const resumed = await openEventStream(clientOf(account, successor.url), { cursor: earlier?.cursor });
      const events = (): StreamEvent[] => [...(earlier?.events ?? []), ...resumed.events];
      if (seqsIn(events()).length < rows.length) {
        await resumed.next('messageEvent', ({ message }) => message.seq === rows.length);
      }
      expect(seqsIn(events())).toEqual(rows.map(({ seq }) => seq));
      await resumed.close();
    }
  },
);

test(
  'kill -9 of npm start: after a restart on its folder every acknowledged message is stored and seq continues',
  { timeout: 90_000 },
  async () => {
    const plc = await newPlc();
    const folder = await mkdtemp(join(tmpdir(), 'nightjar-killed-'));
    cleanUps.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const env = { ...testEnvironment({ plcUrl: plc.url }), DATA_DIR: folder, WORKER_ADMIN_PORT: '0' };
    const accounts = [createAccount(plc), createAccount(plc)] as const;
    const before = await start('all', env);
    const [alice, bob] = accounts.map((account) => clientOf(account, before.url));
    if (alice === undefined || bob === undefined) throw new RangeError('no client');
    const conversation = await createCraftedConversation(alice, [bob]);
    const stream = await openEventStream(bob);
    const sent = [];
    for (let nth = 0; nth < 5; nth++) sent.push(await sendCrafted(alice, conversation));
    await stream.next('messageEvent', ({ message }) => message.seq === 3);
    const { cursor } = stream.events.filter((event) => 'message' in event && event.message.seq === 3)[0] ?? {};
    const inFlight = Array.from({ length: 8 }, () => sendCrafted(alice, conversation).catch(() => undefined));
    expect(await before.end('SIGKILL')).toEqual({ exitCode: null, signal: 'SIGKILL' });
    const acknowledged = [...sent, ...(await Promise.all(inFlight)).filter((response) => response !== undefined)];

    const after = await start('all', env);
    const [aliceAgain, bobAgain] = accounts.map((account) => clientOf(account, after.url));
    if (aliceAgain === undefined || bobAgain === undefined) throw new RangeError('no client');
    const { messages } = await bobAgain.call('getMessages', { convoId: conversation.convoId });
    const stored = new Map(messages.map(({ id, seq }) => [id, seq]));
    expect(acknowledged.filter(({ messageId, seq }) => stored.get(messageId) !== seq)).toEqual([]);
    expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_message, index) => index + 1));
    expect((await sendCrafted(aliceAgain, conversation)).seq).toBe(messages.length + 1);
    const resumed = await openEventStream(bobAgain, { cursor: typeof cursor === 'string' ? cursor : '' });
    await resumed.next('messageEvent', ({ message }) => message.seq === messages.length + 1);
    expect(seqsIn(resumed.events)).toEqual(Array.from({ length: messages.length - 2 }, (_, index) => index + 4));
    await resumed.close();
    expect(await after.end('SIGTERM')).toEqual({ exitCode: 0, signal: null });
  },
);
