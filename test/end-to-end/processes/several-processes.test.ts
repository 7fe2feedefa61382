import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { projectRoot } from '../../conventions/source-tree.ts';
import { createAccount } from '../../support/clients/account.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import type { EventStream } from '../../support/clients/event-stream.ts';
import { createXrpcClient, errorNameOf } from '../../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../../support/clients/xrpc-client.ts';
import { createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import type { TestDatabase } from '../../support/postgres/database.ts';
import { childEnvironment } from '../../support/processes/child-environment.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import type { ChildServer } from '../../support/processes/child-server.ts';
import { testEnvironment } from '../../support/test-server.ts';

const execute = promisify(execFile);
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Service {
  readonly server: ChildServer;
  readonly database: TestDatabase;
  readonly env: Readonly<Record<string, string>>;
  readonly client: () => XrpcClient;
}

/** Starts two server processes on a new database. */
async function startTwo(settings: Readonly<Record<string, string>> = {}): Promise<Service> {
  const plc = await startLoopbackPlc();
  cleanUps.push(() => plc.close());
  const database = await createTestDatabase();
  cleanUps.push(() => database.close());
  const env = {
    ...testEnvironment({ plcUrl: plc.url }),
    DATABASE_URL: database.url,
    IDENTITY_KEY: newKeyRingText(),
    SERVER_PROCESSES: '2',
    ...settings,
  };
  const server = await startChildServer('server', env);
  cleanUps.push(() => server.end('SIGTERM'));
  const address = { url: server.url, serviceDid: 'did:web:nightjar.test' };
  return { server, database, env, client: () => createXrpcClient({ server: address, account: createAccount(plc) }) };
}

/** Returns the ids of the processes that `pid` has started. */
async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await execute('ps', ['-A', '-o', 'pid=,ppid=']);
  const rows = stdout.split('\n').map((row) => row.trim().split(/\s+/).map(Number));
  // The process `ps` is a child of the test run, not of the server.
  return rows.flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []));
}

const metricsOf = async ({ adminPort }: ChildServer): Promise<string> =>
  (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();

const seqsOf = ({ events }: EventStream): number[] =>
  events.flatMap((event) => ('message' in event ? [event.message.seq] : []));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test(
  'two processes share one port: a token is accepted once, a limit holds for both, and one admin port shows both',
  { timeout: 60_000 },
  async () => {
    const { server, client } = await startTwo({ RATE_LIMIT_GET_MESSAGES: '30' });
    expect(await childrenOf(server.pid)).toHaveLength(2);
    const alice = client();
    const { convoId } = await createCraftedConversation(alice, []);
    const search = `?convoId=${convoId}`;
    const token = alice.token('getEpoch');
    const uses = await Promise.all(upTo(100).map(() => alice.raw('getEpoch', { token, search })));
    expect(uses.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(uses.filter(({ status }) => status !== 200).map(errorNameOf))).toEqual(new Set(['JwtReplayed']));

    const calls = await Promise.all(upTo(50).map(() => alice.raw('getMessages', { search })));
    expect(calls.filter(({ status }) => status === 200)).toHaveLength(30);
    expect(calls.filter(({ status }) => status === 429)).toHaveLength(20);

    const metrics = await metricsOf(server);
    expect(metrics).toContain('nightjar_requests_total{method="getEpoch",status_class="2xx"} 1\n');
    expect(metrics).toContain('nightjar_requests_total{method="getEpoch",status_class="4xx"} 99\n');
    expect(metrics).toContain('nightjar_quota_store_info{state="shared"} 1\n');
    expect(metrics.match(/^# TYPE nightjar_requests_total /gm)).toHaveLength(1);
  },
);

test(
  'a process that is killed during sends is replaced, no acknowledged message is lost, and subscribers of the other miss nothing',
  { timeout: 60_000 },
  async () => {
    const { server, database, client } = await startTwo();
    const [alice, bob] = [client(), client()];
    const conversation = await createCraftedConversation(alice, [bob]);
    const streams = [];
    for (const _each of upTo(4)) streams.push(await openEventStream(bob));
    const ended = new Set<EventStream>();
    for (const stream of streams) void stream.ended.then(() => ended.add(stream));

    const acknowledged = new Map<string, number>();
    let isSending = true;
    let failures = 0;
    const senders = upTo(8).map(async () => {
      while (isSending) {
        try {
          const { messageId, seq } = await sendCrafted(alice, conversation);
          acknowledged.set(messageId, seq);
        } catch {
          failures += 1;
          await systemClock.sleep(20);
        }
      }
    });
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(50);
    const [killed, survivor] = await childrenOf(server.pid);
    process.kill(killed ?? 0, 'SIGKILL');
    await expect
      .poll(() => server.logged.filter((event) => event === 'process_started').length, { timeout: 20_000 })
      .toBe(3);
    const afterRestart = acknowledged.size;
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(afterRestart + 50);
    isSending = false;
    await Promise.all(senders);

    expect(failures).toBeLessThan(100);
    const now = await childrenOf(server.pid);
    expect(now).toHaveLength(2);
    expect(now).toContain(survivor);
    expect(now).not.toContain(killed);
    expect(server.lines).toContainEqual(expect.objectContaining({ event: 'process_ended', process: 1, exitCode: 1 }));

    const rows = await database.sql<{ id: string; seq: number }[]>`SELECT msg_id AS id, seq FROM messages ORDER BY seq`;
    const stored = new Map(rows.map(({ id, seq }) => [id, seq]));
    expect([...acknowledged].filter(([id, seq]) => stored.get(id) !== seq)).toEqual([]);
    // Connections are given to the processes in turn, so each has some of the four streams.
    expect(ended.size).toBeGreaterThan(0);
    expect(ended.size).toBeLessThan(4);
    const open = streams.filter((stream) => !ended.has(stream));
    for (const stream of open) {
      await stream.next('messageEvent', ({ message }) => message.seq === rows.length);
      expect(seqsOf(stream)).toEqual(upTo(rows.length));
    }

    const inUse = await childrenOf(server.pid);
    expect(await server.end('SIGTERM')).toEqual({ exitCode: 0, signal: null });
    await Promise.all(open.map((stream) => stream.ended));
    expect(inUse.filter((pid) => isRunning(pid))).toEqual([]);
    expect(server.logged.filter((event) => event === 'server_stopped')).toHaveLength(3);
  },
);

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('processes end at once when their parent is killed', { timeout: 60_000 }, async () => {
  const { server } = await startTwo();
  const processes = await childrenOf(server.pid);
  await server.end('SIGKILL');
  await expect.poll(() => processes.filter((pid) => isRunning(pid)), { timeout: 10_000 }).toEqual([]);
});

test(
  'npm start runs several processes on its embedded Postgres: subscribers of both receive each event, and jobs run once',
  { timeout: 90_000 },
  async () => {
    const plc = await startLoopbackPlc();
    cleanUps.push(() => plc.close());
    const folder = await mkdtemp(join(tmpdir(), 'nightjar-processes-'));
    cleanUps.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const server = await startChildServer('all', {
      ...testEnvironment({ plcUrl: plc.url }),
      DATA_DIR: folder,
      SERVER_PROCESSES: '2',
    });
    cleanUps.push(() => server.end('SIGTERM'));
    const address = { url: server.url, serviceDid: 'did:web:nightjar.test' };
    const [alice, bob] = [0, 1].map(() => createXrpcClient({ server: address, account: createAccount(plc) }));
    if (alice === undefined || bob === undefined) throw new RangeError('no client');
    const conversation = await createCraftedConversation(alice, [bob]);
    const streams: EventStream[] = [];
    for (const _each of upTo(4)) streams.push(await openEventStream(bob));
    for (const _each of upTo(20)) await sendCrafted(alice, conversation);
    for (const stream of streams) {
      await stream.next('messageEvent', ({ message }) => message.seq === 20);
      expect(seqsOf(stream)).toEqual(upTo(20));
    }
    // An ephemeral message is in no log, so only a notification brings it to the other process.
    const { messageId } = await sendCrafted(alice, conversation, { delivery: 'ephemeral' });
    for (const stream of streams) await stream.next('messageEvent', ({ message }) => message.id === messageId);
    expect(await metricsOf(server)).toContain('nightjar_job_interval_seconds{job="compact-messages"} 3600\n');
    expect(await server.end('SIGTERM')).toEqual({ exitCode: 0, signal: null });
  },
);

test(
  'when a process cannot start, all end with its exit code, and its message is printed once',
  { timeout: 60_000 },
  async () => {
    const { env, server } = await startTwo();
    await server.end('SIGTERM');
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    cleanUps.push(() => new Promise((resolve) => taken.close(resolve)));
    const run = async (settings: Readonly<Record<string, string>>): Promise<{ code: unknown; stderr: string }> => {
      const all = { ...childEnvironment, ...env, LOG_LEVEL: 'silent', ...settings };
      const started = execute(process.execPath, ['src/main.ts', 'server'], { cwd: projectRoot, env: all });
      return started.then(
        ({ stderr }) => ({ code: 0, stderr }),
        ({ code, stderr }: { code: unknown; stderr: string }) => ({ code, stderr }),
      );
    };
    const portTaken = await run({ SERVER_PORT: String((taken.address() as AddressInfo).port) });
    expect(portTaken.code).toBe(75);
    expect(portTaken.stderr.match(/The port is taken/g)).toHaveLength(1);
    const otherKey = await run({ IDENTITY_KEY: newKeyRingText() });
    expect(otherKey.code).toBe(78);
    expect(otherKey.stderr.match(/IDENTITY_KEY:/g)).toHaveLength(1);
  },
);
