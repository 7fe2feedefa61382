import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/database.ts';
import type { Database } from '#storage/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres.ts';
import type { EmbeddedPostgres } from '#storage/embedded-postgres.ts';
import { migrateUp } from '#storage/migrator.ts';
import { createAccount } from '../support/account.ts';
import { startLoopbackPlc } from '../support/loopback-plc.ts';
import type { LoopbackPlc } from '../support/loopback-plc.ts';
import { startTestServer } from '../support/test-server.ts';
import type { TestServer } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf } from '../support/xrpc-client.ts';
import type { RawAnswer } from '../support/xrpc-client.ts';

/** A Postgres of its own: killing it ends the connections of everybody. */
let folder: string;
let postgres: EmbeddedPostgres;
let database: Database;
let plc: LoopbackPlc;
let server: TestServer;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-crash-')));
  postgres = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
  database = openDatabase({ url: postgres.url, poolSize: 2, applicationName: 'nightjar-test', purpose: 'maintenance' });
  await migrateUp(database);
  plc = await startLoopbackPlc();
  server = await startTestServer({ databaseUrl: postgres.url, plcUrl: plc.url });
}, 60_000);
afterAll(async () => {
  await server.stop();
  await plc.close();
  await database.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

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
    const client = createXrpcClient({ server, account: createAccount(plc) });
    const ask = async (token: string): Promise<unknown> => nameOf(await client.raw('getConvos', { token }));
    const tokens = Array.from({ length: 20 }, () => client.token('getConvos'));
    for (const token of tokens) expect(await ask(token)).toBe(200);
    const unused = client.token('getConvos');
    await crash();
    // Whatever is answered on the way to recovery, no used token passes.
    await expect.poll(() => rowsLeft(), { timeout: 30_000 }).toEqual({ entries: 0, births: 0 });
    const outcomes = new Set<unknown>();
    await expect
      .poll(
        async () => {
          for (const token of tokens) outcomes.add(await ask(token));
          return [...outcomes];
        },
        { timeout: 30_000 },
      )
      .toContain('JwtTooOld');
    expect([...outcomes].filter((outcome) => outcome === 200)).toEqual([]);
    expect(await ask(unused), 'nobody knows whether this one was used').toBe('JwtTooOld');
    await expect.poll(() => ask(client.token('getConvos')), { timeout: 10_000 }).toBe(200);
    for (const token of tokens) expect(await ask(token)).toBe('JwtTooOld');
  },
);
