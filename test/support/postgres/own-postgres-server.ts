import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import type { EmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { startLoopbackPlc } from '../network/loopback-plc.ts';
import type { LoopbackPlc } from '../network/loopback-plc.ts';
import { startTestServer } from '../test-server.ts';
import type { TestServer } from '../test-server.ts';

/** A server with its own Postgres, which a test may kill. */
export interface OwnPostgresServer {
  readonly postgres: EmbeddedPostgres;
  readonly database: Database;
  readonly plc: LoopbackPlc;
  readonly server: TestServer;
  stop(): Promise<void>;
}

export async function startOwnPostgresServer({
  poolSize,
  env = {},
}: {
  /** Number of connections of `database`. */
  readonly poolSize: number;
  readonly env?: Readonly<Record<string, string>>;
}): Promise<OwnPostgresServer> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-crash-')));
  const postgres = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
  const database = openDatabase({
    url: postgres.url,
    poolSize,
    applicationName: 'nightjar-test',
    purpose: 'maintenance',
  });
  await migrateUp(database);
  const plc = await startLoopbackPlc();
  const server = await startTestServer({ databaseUrl: postgres.url, plcUrl: plc.url, env });
  return {
    postgres,
    database,
    plc,
    server,
    async stop() {
      await server.stop();
      await plc.close();
      await database.close();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
