import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import type { EmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { createAccount } from '../../support/clients/account.ts';
import {
  craftMessage,
  craftedSuite,
  createCraftedConversation,
  sendCrafted,
} from '../../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../../support/mls/crafted-conversation.ts';
import { startFaultyProxy } from '../../support/network/faulty-proxy.ts';
import type { FaultyProxy } from '../../support/network/faulty-proxy.ts';
import { startLoopbackPlc } from '../../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../../support/network/loopback-plc.ts';
import { startTestServer } from '../../support/test-server.ts';
import type { TestServer } from '../../support/test-server.ts';
import { createXrpcClient, rawRequest } from '../../support/clients/xrpc-client.ts';
import type { RawResponse, XrpcClient } from '../../support/clients/xrpc-client.ts';

const answerMsMax = 6_000;
const faultMs = 7_000;
const recoveryMsMax = 10_000;

let folder: string;
let postgres: EmbeddedPostgres;
let proxy: FaultyProxy;
let plc: LoopbackPlc;
let server: TestServer;
let alice: XrpcClient;
let bob: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-faults-'));
  postgres = await startPostgres();
  proxy = await startFaultyProxy(postgres.port);
  plc = await startLoopbackPlc();
  const databaseUrl = postgres.url.replace(`:${postgres.port}`, `:${proxy.port}`);
  server = await startTestServer({ databaseUrl, plcUrl: plc.url, env: { MIGRATE_ON_START: 'true' } });
  alice = createXrpcClient({ server, account: createAccount(plc) });
  bob = createXrpcClient({ server, account: createAccount(plc) });
  conversation = await createCraftedConversation(alice, [bob]);
  await sendCrafted(alice, conversation);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await plc.close();
  await proxy.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

function startPostgres(): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
}

/** Signals Postgres and its backends, which are in a separate process group. */
function signalPostgres(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
  const [pid = ''] = readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n');
  for (const child of childrenOf(Number(pid))) process.kill(child, signal);
}

/** Backends have their own sessions, so the function walks the process tree. */
function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
  return [pid, ...children.flatMap(childrenOf)];
}

const faults: readonly { name: string; begin: () => Promise<unknown>; end: () => Promise<unknown> }[] = [
  {
    name: 'is stopped (SIGSTOP)',
    begin: async () => signalPostgres('SIGSTOP'),
    end: async () => signalPostgres('SIGCONT'),
  },
  {
    name: 'is killed (SIGKILL)',
    begin: async () => signalPostgres('SIGKILL'),
    async end() {
      await postgres.stop();
      postgres = await startPostgres();
      proxy.aim(postgres.port);
      await proxy.setMode('pass');
    },
  },
  ...(['refuse', 'close', 'silent'] as const).map((mode) => ({
    name: `is behind a proxy in mode "${mode}"`,
    begin: () => proxy.setMode(mode),
    end: () => proxy.setMode('pass'),
  })),
];

const request = {
  list: () => bob.raw('getConvos'),
  read: () => bob.raw('getMessages', rawRequest('getMessages', { convoId: conversation.convoId })),
  epoch: () => bob.raw('getEpoch', rawRequest('getEpoch', { convoId: conversation.convoId })),
  send: () => alice.raw('sendMessage', rawRequest('sendMessage', craftMessage(conversation))),
  'send ephemeral': () =>
    alice.raw('sendMessage', rawRequest('sendMessage', craftMessage(conversation, { delivery: 'ephemeral' }))),
  create: () =>
    alice.raw(
      'createConvo',
      rawRequest('createConvo', { groupId: newGroupId(), cipherSuite: craftedSuite, initialMembers: [] }),
    ),
  role: () =>
    alice.raw('promoteAdmin', rawRequest('promoteAdmin', { convoId: conversation.convoId, targetDid: bob.did })),
  claim: () => alice.raw('getKeyPackages', rawRequest('getKeyPackages', { dids: [bob.did] })),
  ticket: () => bob.raw('getSubscriptionTicket', rawRequest('getSubscriptionTicket', {})),
} satisfies Record<string, () => Promise<RawResponse>>;

function newGroupId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');
}

/** Opens an event stream and closes it. */
async function openStream(): Promise<RawResponse> {
  const response = await fetch(`${server.url}/xrpc/blue.catbird.mls.streamConvoEvents`, {
    headers: { Authorization: `Bearer ${bob.token('streamConvoEvents')}` },
    signal: AbortSignal.timeout(20_000),
  });
  if (response.status !== 200)
    return { status: response.status, headers: response.headers, text: await response.text() };
  await response.body?.cancel();
  return { status: 200, headers: response.headers, text: '{}' };
}

const kinds: readonly [string, () => Promise<RawResponse>][] = [...Object.entries(request), ['stream', openStream]];

interface Observed {
  readonly kind: string;
  readonly status: number;
  readonly error: unknown;
  readonly tookMs: number;
  readonly retryAfter: string | null;
}

async function observe(kind: string, ask: () => Promise<RawResponse>): Promise<Observed> {
  const startedMs = performance.now();
  const { status, headers, text } = await ask();
  const { error } = JSON.parse(text) as { error?: unknown };
  return { kind, status, error, tookMs: performance.now() - startedMs, retryAfter: headers.get('Retry-After') };
}

test.for(faults)(
  'while Postgres $name every response comes in time, and requests succeed afterwards',
  { timeout: 90_000 },
  async (fault) => {
    const answers: Promise<Observed>[] = [];
    const other: Promise<{ path: string; status: number; tookMs: number }>[] = [];
    const askAll = (): void => {
      for (const [kind, ask] of kinds) answers.push(observe(kind, ask));
    };
    askAll();
    const acceptedBefore = proxy.accepted();
    await fault.begin();
    const startedMs = performance.now();
    const askedAfter = answers.length;
    while (performance.now() - startedMs < faultMs) {
      askAll();
      for (const url of [
        `${server.url}/livez`,
        `${server.url}/readyz`,
        `http://127.0.0.1:${server.adminPort}/metrics`,
      ]) {
        const askedMs = performance.now();
        other.push(
          fetch(url).then(async ({ status, body }) => {
            await body?.cancel();
            return { path: new URL(url).pathname, status, tookMs: performance.now() - askedMs };
          }),
        );
      }
      await systemClock.sleep(350);
    }
    const observed = await Promise.all(answers);
    // With growing pauses, ten connections make a few attempts a second.
    expect(proxy.accepted() - acceptedBefore).toBeLessThan(400);
    await fault.end();

    for (const answer of observed) expect(answer.tookMs, JSON.stringify(answer)).toBeLessThan(answerMsMax);
    for (const answer of observed.slice(askedAfter)) {
      expect(answer, answer.kind).toMatchObject({ status: 503, error: 'ServiceUnavailable' });
      expect(Number(answer.retryAfter)).toBeGreaterThanOrEqual(1);
    }
    for (const { path, status, tookMs } of await Promise.all(other)) {
      expect(tookMs, path).toBeLessThan(answerMsMax);
      if (path !== '/readyz') expect(status, path).toBe(200);
    }
    // More concurrent requests than connections, repeatedly, show that no connection was lost.
    await expect
      .poll(
        async () => {
          const burst = await Promise.all(
            Array.from({ length: 4 }, () => kinds.map(([kind, ask]) => observe(kind, ask))).flat(),
          );
          return burst.filter(({ status }) => status >= 500).length;
        },
        { timeout: recoveryMsMax, interval: 200 },
      )
      .toBe(0);
    const burst = await Promise.all(Array.from({ length: 60 }, () => observe('read', request.read)));
    expect(burst.filter(({ status }) => status !== 200)).toEqual([]);
    expect(Math.max(...burst.map(({ tookMs }) => tookMs))).toBeLessThan(answerMsMax);
  },
);
