import { compactMessages } from '#domain/messages/compact-messages.ts';
import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { openLease } from '#jobs/leases/lease.ts';
import { systemClock } from '#platform/clock.ts';
import { expectOk, openConnection } from '../load/http-connection.ts';
import { percentiles } from '../load/latencies.ts';
import type { SeededConversation } from '../load/conversations.ts';
import { readySends } from '../load/send-requests.ts';
import type { BenchServer } from '../server/bench-server.ts';

export interface CompactionPlan {
  readonly expiredRows: number;
  readonly unexpiredRows: number;
  /** The number of rows to delete by DELETE for comparison; undefined for no comparison. */
  readonly deletedRows?: number;
}

export interface Removal {
  readonly rows: number;
  readonly seconds: number;
  /** The share of the rows' disk space that the operating system got back at once. */
  readonly returnedShare: number;
  /** The p99 of sends during the removal (at least one second), divided by the median p99 of the seconds before it. */
  readonly sendP99Ratio: number;
}

const ttlDays = 30;
const partitionDays = 4;
const dayMs = 86_400_000;
const groups = 1_000;
const rowsPerStatement = 100_000;
const deletedPerStatement = 10_000;
const sendConnections = 16;
const sendsPerSecond = 500;
const windowMs = 1_000;
const baselineWindows = 8;

/**
 * Measures the removal of `expiredRows` expired messages of 1 KiB from a table with unexpired messages, while clients
 * send.
 */
export async function measureCompaction(
  server: BenchServer,
  conversations: readonly SeededConversation[],
  plan: CompactionPlan,
): Promise<{ compaction: Removal; deletion: Removal | undefined }> {
  await insertUnexpired(server, plan.unexpiredRows);
  const partition = await insertExpired(server, plan.expiredRows);
  const acquired = await acquireLease(server.database.sql, { job: 'compact-messages', leaseMs: 60_000 });
  if ('refused' in acquired) throw new Error(acquired.refused);
  const leaseTerms = { job: 'compact-messages', fence: acquired.fence, budgetMs: 600_000 };
  const lease = openLease({ database: server.database, clock: systemClock }, leaseTerms);
  const compaction = await measureRemoval(server, conversations, { partition, rows: plan.expiredRows }, async () => {
    const { sql } = server.database;
    const { partitions } = await compactMessages({
      sql,
      clock: systemClock,
      confirm: (tx) => lease.confirm(tx),
      messageTtlDays: ttlDays,
    });
    if (partitions !== 1) throw new Error(`${partitions} partitions were dropped, not one`);
  });
  if (plan.deletedRows === undefined) return { compaction, deletion: undefined };
  const partitionToDelete = await insertExpired(server, plan.deletedRows);
  const target = { partition: partitionToDelete, rows: plan.deletedRows };
  return {
    compaction,
    deletion: await measureRemoval(server, conversations, target, () => deleteAll(server, partitionToDelete)),
  };
}

async function measureRemoval(
  server: BenchServer,
  conversations: readonly SeededConversation[],
  target: { partition: string; rows: number },
  remove: () => Promise<void>,
): Promise<Removal> {
  const beforeSizeBytes = await databaseSize(server);
  const partitionSizeBytes = await relationSize(server, target.partition);
  const sends = startSends(server, conversations);
  await systemClock.sleep(baselineWindows * windowMs);
  const startedMs = performance.now();
  await remove();
  const seconds = (performance.now() - startedMs) / 1_000;
  const afterSizeBytes = await databaseSize(server);
  await systemClock.sleep(windowMs);
  const responses = await sends.stop();
  const p99Of = (fromMs: number, toMs: number): number =>
    percentiles(responses.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs).map(({ tookMs }) => tookMs)).p99Ms;
  const baseline = Array.from({ length: baselineWindows - 2 }, (_, index) =>
    p99Of(startedMs - (index + 1) * windowMs, startedMs - index * windowMs),
  );
  const during = p99Of(startedMs, startedMs + Math.max(windowMs, seconds * 1_000));
  return {
    rows: target.rows,
    seconds,
    returnedShare: (beforeSizeBytes - afterSizeBytes) / partitionSizeBytes,
    sendP99Ratio: during / percentiles(baseline).p50Ms,
  };
}

/** Starts to send at a constant rate, until `stop` is called. */
function startSends(
  server: BenchServer,
  conversations: readonly SeededConversation[],
): { stop(): Promise<{ sentMs: number; tookMs: number }[]> } {
  const responses: { sentMs: number; tookMs: number }[] = [];
  let isStopped = false;
  const sendUntilStopped = async (): Promise<void> => {
    const connection = await openConnection(server.serverPort);
    while (!isStopped) {
      const [ready] = readySends(conversations, 1);
      if (ready === undefined) break;
      const sentMs = performance.now();
      expectOk(await connection.send(ready.request));
      responses.push({ sentMs, tookMs: performance.now() - sentMs });
      await systemClock.sleep((1_000 * sendConnections) / sendsPerSecond);
    }
    connection.close();
  };
  const running = Promise.all(Array.from({ length: sendConnections }, sendUntilStopped));
  return {
    async stop() {
      isStopped = true;
      await running;
      return responses;
    },
  };
}

/** Inserts messages of today into conversations to which no client sends. */
async function insertUnexpired(server: BenchServer, rows: number): Promise<void> {
  await insertRows(server, 'messages', { rows, at: new Date() });
}

/**
 * Creates a partition as the service does, whose retention ended a day ago, and fills it with messages.
 * @returns the name of the partition.
 */
async function insertExpired(server: BenchServer, rows: number): Promise<string> {
  const todayMs = Math.floor(Date.now() / dayMs) * dayMs;
  const toMs = todayMs - (ttlDays + 1) * dayMs;
  const fromMs = toMs - partitionDays * dayMs;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
  const name = `messages_${day(fromMs)}_${day(toMs)}`;
  const bounds = [fromMs, toMs].map((ms) => `'${new Date(ms).toISOString()}'`);
  await server.database.sql.unsafe(
    `CREATE TABLE ${name} PARTITION OF messages FOR VALUES FROM (${bounds[0]}) TO (${bounds[1]})`,
  );
  await insertRows(server, name, { rows, at: new Date(fromMs + dayMs) });
  return name;
}

async function insertRows(server: BenchServer, table: string, inserted: { rows: number; at: Date }): Promise<void> {
  for (let from = 0; from < inserted.rows; from += rowsPerStatement) {
    const to = Math.min(inserted.rows, from + rowsPerStatement) - 1;
    await server.database.sql.unsafe(
      `INSERT INTO ${table} (group_id, seq, epoch, kind, msg_id, received_at, body)
       SELECT decode(md5($4 || n % ${groups}), 'hex'), n / ${groups} + 1, 1, 1, gen_random_uuid(), $3, decode(repeat(md5(n::text), 64), 'hex')
       FROM generate_series($1::integer, $2::integer) n`,
      [from, to, inserted.at, table],
    );
  }
  await server.database.sql.unsafe(`ANALYZE ${table}`);
  await server.database.sql`CHECKPOINT`;
}

/** Deletes the rows of a partition with DELETE, as the service would if it had no partitions. */
async function deleteAll(server: BenchServer, partition: string): Promise<void> {
  for (;;) {
    const { count } = await server.database.sql.unsafe(
      `DELETE FROM ${partition} WHERE ctid = ANY (ARRAY (SELECT ctid FROM ${partition} LIMIT ${deletedPerStatement}))`,
    );
    if (count === 0) return;
  }
}

async function databaseSize({ database }: BenchServer): Promise<number> {
  const [row] = await database.sql<{ size: number }[]>`SELECT pg_database_size(current_database()) AS size`;
  return row?.size ?? 0;
}

async function relationSize({ database }: BenchServer, name: string): Promise<number> {
  const [row] = await database.sql<{ size: number }[]>`SELECT pg_total_relation_size(${name}::regclass) AS size`;
  return row?.size ?? 0;
}
