import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { preparePartitions } from '#domain/events/prepare-partitions.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import type { EmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { runJob } from '../support/processes/run-job.ts';

const dayMs = 86_400_000;
let folder: string;
let postgres: EmbeddedPostgres;
let database: Database;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-erased-')));
  postgres = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock });
  database = openDatabase({
    url: postgres.url,
    poolSize: 2,
    applicationName: 'nightjar-test',
    purpose: 'maintenance',
  });
  await migrateUp(database);
  await preparePartitions(database, { messageTtlDays: 30, eventTtlDays: 7 });
});
afterAll(async () => {
  await database.close();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** The files of the whole data folder, log included, that contain `marker`. */
async function filesWith(marker: Buffer): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // A file may be removed while others are read.
    const bytes = entry.isFile() ? await readFile(path).catch(() => Buffer.alloc(0)) : Buffer.alloc(0);
    if (bytes.includes(marker)) found.push(path.slice(folder.length + 1));
  }
  return found;
}

async function makeExpiredPartition(): Promise<void> {
  const todayMs = Math.floor(Date.now() / dayMs) * dayMs;
  const [from = '', to = ''] = [36, 32].map((daysAgo) => new Date(todayMs - daysAgo * dayMs).toISOString());
  const day = (iso: string): string => iso.slice(0, 10).replaceAll('-', '');
  await database.sql.unsafe(
    `CREATE TABLE messages_${day(from)}_${day(to)} PARTITION OF messages FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
}

async function storeMessage(groupId: Buffer, body: Buffer, ageDays: number): Promise<number> {
  const [row] = await database.sql<{ seq: number }[]>`
    WITH counted AS (
      UPDATE conversation_counters SET last_seq = last_seq + 1 WHERE group_id = ${groupId} RETURNING last_seq)
    INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT ${groupId}, last_seq, 1, 1, ${newUuid()}, now() - make_interval(days => ${ageDays}), ${body} FROM counted
    RETURNING seq`;
  return row?.seq ?? 0;
}

test('after its partition was dropped, a WAL switch and a checkpoint, no file of the database contains an expired message, and seq continues', async () => {
  const groupId = newSecret(16);
  const marker = newSecret(48);
  const unexpired = newSecret(48);
  await database.sql`INSERT INTO conversation_counters (group_id, epoch) VALUES (${groupId}, 1)`;
  await makeExpiredPartition();
  for (const sizeBytes of [1_024, 65_536]) {
    await storeMessage(groupId, Buffer.concat([marker, newSecret(sizeBytes)]), 33);
  }
  await storeMessage(groupId, unexpired, 1);
  await database.sql`CHECKPOINT`;
  const before = await filesWith(marker);
  expect(before.some((path) => path.includes('pg_wal'))).toBe(true);
  expect(before.some((path) => path.includes('base'))).toBe(true);

  await runJob(database, 'compact-messages');
  await database.sql`SELECT pg_switch_wal()`;
  await database.sql`CHECKPOINT`;
  expect(await filesWith(marker)).toEqual([]);
  expect(await filesWith(unexpired)).not.toEqual([]);
  expect(await storeMessage(groupId, newSecret(16), 0)).toBe(4);
});
