import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import type { Database } from '#storage/connection/database.ts';
import { createAccount } from '../support/clients/account.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import type { TestServer } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawResponse } from '../support/clients/xrpc-client.ts';
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

/** Kills one backend with SIGKILL. Postgres then ends all others and recovers, which empties unlogged tables. */
async function crash(): Promise<void> {
  const [backend] = await database.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  process.kill(backend?.pid ?? 0, 'SIGKILL');
}

async function rowsLeft(): Promise<unknown> {
  const [counts] = await database.sql`
    SELECT (SELECT count(*)::int FROM replay_entries) AS entries, (SELECT count(*)::int FROM replay_birth) AS births`;
  return counts;
}

function nameOf(response: RawResponse): unknown {
  return response.status === 200 ? 200 : errorNameOf(response);
}

test(
  'a used token is refused again after a crash of Postgres, which empties the record of used tokens',
  { timeout: 60_000 },
  async () => {
    const account = createAccount(plc);
    const client = createXrpcClient({ server, account });
    const send = async (token: string): Promise<unknown> => nameOf(await client.raw('getConvos', { token }));
    const mint = (secondsAgo: number): string => {
      const iat = Math.floor(Date.now() / 1_000) - secondsAgo;
      return account.mintToken({ aud: server.serviceDid, lxm: 'blue.catbird.mls.getConvos', iat, exp: iat + 280 });
    };
    const recent = Array.from({ length: 10 }, () => mint(0));
    const older = Array.from({ length: 10 }, () => mint(60));
    for (const token of [...recent, ...older]) expect(await send(token)).toBe(200);
    const unused = [mint(0), mint(60)] as const;
    await crash();
    // During the recovery no used token may be accepted.
    await expect.poll(() => rowsLeft(), { timeout: 30_000 }).toEqual({ entries: 0, births: 0 });
    const outcomes = new Set<unknown>();
    await expect
      .poll(
        async () => {
          for (const token of [...recent, ...older]) outcomes.add(await send(token));
          return [...outcomes];
        },
        { timeout: 30_000 },
      )
      .toContain('JwtTooOld');
    expect(outcomes).toEqual(new Set(['JwtTooOld', 'ServiceUnavailable']));
    expect(await send(unused[0]), 'an earlier use cannot be excluded').toBe('ServiceUnavailable');
    expect(await send(unused[1])).toBe('JwtTooOld');
    await expect.poll(() => send(client.token('getConvos')), { timeout: 10_000 }).toBe(200);
    for (const token of recent) expect(await send(token)).toBe('ServiceUnavailable');
    for (const token of older) expect(await send(token)).toBe('JwtTooOld');
  },
);

test(
  'a client that gets a new token for every try never gets a 401 because of crashes of Postgres',
  { timeout: 90_000 },
  async () => {
    const responses = new Map<string, number>();
    const stopping = new AbortController();
    const clients = Array.from({ length: 12 }, () => createXrpcClient({ server, account: createAccount(plc) }));
    const isServed = clients.map(() => false);
    const running = clients.map(async (client, at) => {
      while (!stopping.signal.aborted) {
        const response = await client.raw('getConvos');
        const name = String(nameOf(response));
        responses.set(name, (responses.get(name) ?? 0) + 1);
        isServed[at] = response.status === 200;
        if (response.status === 503) {
          expect(Number(response.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
          // More often than real clients, so that requests meet every phase of the recovery.
          await systemClock.sleep(50);
        }
      }
    });
    for (let crashes = 0; crashes < 3; crashes++) {
      await expect.poll(() => isServed.every(Boolean), { timeout: 20_000 }).toBe(true);
      // The record is created in different parts of a second.
      await systemClock.sleep(1_000 + 300 * crashes);
      isServed.fill(false);
      await crash().catch(() => undefined);
    }
    await expect.poll(() => isServed.every(Boolean), { timeout: 20_000 }).toBe(true);
    stopping.abort();
    await Promise.all(running);
    expect(new Set(responses.keys())).toEqual(new Set(['200', 'ServiceUnavailable']));
  },
);
