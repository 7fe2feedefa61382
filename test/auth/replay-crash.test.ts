import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#storage/connection/database.ts';
import { createAccount } from '../support/clients/account.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import type { TestServer } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawAnswer } from '../support/clients/xrpc-client.ts';
import { startOwnPostgresServer } from '../support/postgres/own-postgres-server.ts';
import type { OwnPostgresServer } from '../support/postgres/own-postgres-server.ts';

let bed: OwnPostgresServer;
let database: Database;
let plc: LoopbackPlc;
let server: TestServer;

beforeAll(async () => {
  bed = await startOwnPostgresServer({ poolSize: 2 });
  ({ database, plc, server } = bed);
}, 60_000);
afterAll(() => bed.stop());

/** Kill -9 of one backend: Postgres then ends all others and recovers, which empties unlogged tables. */
async function crash(): Promise<void> {
  const [backend] = await database.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  process.kill(backend?.pid ?? 0, 'SIGKILL');
}

async function rowsLeft(): Promise<unknown> {
  const [counts] = await database.sql`
    SELECT (SELECT count(*)::int FROM replay_entries) AS entries, (SELECT count(*)::int FROM replay_birth) AS births`;
  return counts;
}

function nameOf(answer: RawAnswer): unknown {
  return answer.status === 200 ? 200 : errorNameOf(answer);
}

test(
  'a used token is not good again after kill -9 of Postgres, which forgets the used ones',
  { timeout: 60_000 },
  async () => {
    const account = createAccount(plc);
    const client = createXrpcClient({ server, account });
    const ask = async (token: string): Promise<unknown> => nameOf(await client.raw('getConvos', { token }));
    const mint = (secondsAgo: number): string => {
      const iat = Math.floor(Date.now() / 1_000) - secondsAgo;
      return account.mintToken({ aud: server.serviceDid, lxm: 'blue.catbird.mls.getConvos', iat, exp: iat + 280 });
    };
    const recent = Array.from({ length: 10 }, () => mint(0));
    const older = Array.from({ length: 10 }, () => mint(60));
    for (const token of [...recent, ...older]) expect(await ask(token)).toBe(200);
    const unused = [mint(0), mint(60)] as const;
    await crash();
    // Whatever is answered on the way to recovery, no used token passes.
    await expect.poll(() => rowsLeft(), { timeout: 30_000 }).toEqual({ entries: 0, births: 0 });
    const outcomes = new Set<unknown>();
    await expect
      .poll(
        async () => {
          for (const token of [...recent, ...older]) outcomes.add(await ask(token));
          return [...outcomes];
        },
        { timeout: 30_000 },
      )
      .toContain('JwtTooOld');
    expect(outcomes).toEqual(new Set(['JwtTooOld', 'ServiceUnavailable']));
    expect(await ask(unused[0]), 'nobody knows whether this one was used').toBe('ServiceUnavailable');
    expect(await ask(unused[1])).toBe('JwtTooOld');
    await expect.poll(() => ask(client.token('getConvos')), { timeout: 10_000 }).toBe(200);
    for (const token of recent) expect(await ask(token)).toBe('ServiceUnavailable');
    for (const token of older) expect(await ask(token)).toBe('JwtTooOld');
  },
);

test(
  'a client that gets a new token for every try is never told 401 over crashes of Postgres',
  { timeout: 90_000 },
  async () => {
    const answers = new Map<string, number>();
    const stopping = new AbortController();
    const clients = Array.from({ length: 12 }, () => createXrpcClient({ server, account: createAccount(plc) }));
    const isServed = clients.map(() => false);
    const running = clients.map(async (client, at) => {
      while (!stopping.signal.aborted) {
        const answer = await client.raw('getConvos');
        const name = String(nameOf(answer));
        answers.set(name, (answers.get(name) ?? 0) + 1);
        isServed[at] = answer.status === 200;
        if (answer.status === 503) {
          expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
          // More often than a patient client, so that every moment is met.
          await systemClock.sleep(50);
        }
      }
    });
    for (let crashes = 0; crashes < 3; crashes++) {
      await expect.poll(() => isServed.every(Boolean), { timeout: 20_000 }).toBe(true);
      // The birth falls into different parts of a second.
      await systemClock.sleep(1_000 + 300 * crashes);
      isServed.fill(false);
      await crash().catch(() => undefined);
    }
    await expect.poll(() => isServed.every(Boolean), { timeout: 20_000 }).toBe(true);
    stopping.abort();
    await Promise.all(running);
    expect(new Set(answers.keys())).toEqual(new Set(['200', 'ServiceUnavailable']));
  },
);
