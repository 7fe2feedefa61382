import { compactMessages } from '#domain/messages/compact-messages.ts';
import { acquireLease } from '#jobs/leases/acquire-lease.ts';
import { openLease } from '#jobs/leases/lease.ts';
import { systemClock } from '#platform/clock.ts';
import { expectOk, openConnection, percentiles } from './http-load.ts';
import type { Seed } from './seed.ts';
import { readySends } from './send-requests.ts';
import type { BenchServer } from './bench-server.ts';

export interface CompactionPlan {
  readonly expiredRows: number;
  readonly livingRows: number;
  /** Also removed by DELETE, to compare; absent: not. */
  readonly deletedRows?: number;
}

/** What the removal of expired messages came to, and what senders noticed of it. */
export interface Removal {
  readonly rows: number;
  readonly seconds: number;
  /** Of what the rows took on disk, the share that the operating system got back at once. */
  readonly returnedShare: number;
  /** The p99 of sends within the second that began with it, over the median p99 of seconds without it. */
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
const quietWindows = 8;

/** Drops `expiredRows` messages of 1 KiB that are past their time, among living ones, while others send. */
export async function measureCompaction(
  stage: BenchServer,
  seed: Seed,
  plan: CompactionPlan,
): Promise<{ compaction: Removal; deletion: Removal | undefined }> {
  await plantLiving(stage, plan.livingRows);
  const partition = await plantExpired(stage, plan.expiredRows);
  const taken = await acquireLease(stage.database.sql, { job: 'compact-messages', leaseMs: 60_000 });
  if ('refused' in taken) throw new Error(taken.refused);
  const held = { job: 'compact-messages', fence: taken.fence, budgetMs: 600_000 };
  const turn = openLease({ database: stage.database, clock: systemClock }, held);
  const compaction = await measureRemoval(stage, seed, { partition, rows: plan.expiredRows }, async () => {
    const { sql } = stage.database;
    const { partitions } = await compactMessages({
      sql,
      clock: systemClock,
      confirm: (tx) => turn.confirm(tx),
      messageTtlDays: ttlDays,
    });
    if (partitions !== 1) throw new Error(`${partitions} partitions were dropped, not one`);
  });
  if (plan.deletedRows === undefined) return { compaction, deletion: undefined };
  const doomed = await plantExpired(stage, plan.deletedRows);
  const target = { partition: doomed, rows: plan.deletedRows };
  return { compaction, deletion: await measureRemoval(stage, seed, target, () => deleteAll(stage, doomed)) };
}

async function measureRemoval(
  stage: BenchServer,
  seed: Seed,
  target: { partition: string; rows: number },
  remove: () => Promise<void>,
): Promise<Removal> {
  const beforeSizeBytes = await databaseSize(stage);
  const partitionSizeBytes = await relationSize(stage, target.partition);
  const sends = startSends(stage, seed);
  await systemClock.sleep(quietWindows * windowMs);
  const startedMs = performance.now();
  await remove();
  const seconds = (performance.now() - startedMs) / 1_000;
  const afterSizeBytes = await databaseSize(stage);
  await systemClock.sleep(windowMs);
  const answered = await sends.stop();
  const p99Of = (fromMs: number, toMs: number): number =>
    percentiles(answered.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs).map(({ tookMs }) => tookMs)).p99Ms;
  const quiet = Array.from({ length: quietWindows - 2 }, (_, index) =>
    p99Of(startedMs - (index + 1) * windowMs, startedMs - index * windowMs),
  );
  const during = p99Of(startedMs, startedMs + Math.max(windowMs, seconds * 1_000));
  return {
    rows: target.rows,
    seconds,
    returnedShare: (beforeSizeBytes - afterSizeBytes) / partitionSizeBytes,
    sendP99Ratio: during / percentiles(quiet).p50Ms,
  };
}

/** Sends at a steady rate until it is stopped. */
function startSends(stage: BenchServer, seed: Seed): { stop(): Promise<{ sentMs: number; tookMs: number }[]> } {
  const answered: { sentMs: number; tookMs: number }[] = [];
  let isStopped = false;
  const sendOn = async (): Promise<void> => {
    const connection = await openConnection(stage.serverPort);
    while (!isStopped) {
      const [ready] = readySends(seed, 1);
      if (ready === undefined) break;
      const sentMs = performance.now();
      expectOk(await connection.send(ready.request));
      answered.push({ sentMs, tookMs: performance.now() - sentMs });
      await systemClock.sleep((1_000 * sendConnections) / sendsPerSecond);
    }
    connection.close();
  };
  const running = Promise.all(Array.from({ length: sendConnections }, sendOn));
  return {
    async stop() {
      isStopped = true;
      await running;
      return answered;
    },
  };
}

/** Messages of today, in conversations of their own. */
async function plantLiving(stage: BenchServer, rows: number): Promise<void> {
  await plantRows(stage, 'messages', { rows, at: new Date() });
}

/** A partition as the service would have made it, whose time ended a day ago, full of messages. @returns its name. */
async function plantExpired(stage: BenchServer, rows: number): Promise<string> {
  const todayMs = Math.floor(Date.now() / dayMs) * dayMs;
  const toMs = todayMs - (ttlDays + 1) * dayMs;
  const fromMs = toMs - partitionDays * dayMs;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
  const name = `messages_${day(fromMs)}_${day(toMs)}`;
  const bounds = [fromMs, toMs].map((ms) => `'${new Date(ms).toISOString()}'`);
  await stage.database.sql.unsafe(
    `CREATE TABLE ${name} PARTITION OF messages FOR VALUES FROM (${bounds[0]}) TO (${bounds[1]})`,
  );
  await plantRows(stage, name, { rows, at: new Date(fromMs + dayMs) });
  return name;
}

async function plantRows(stage: BenchServer, table: string, planted: { rows: number; at: Date }): Promise<void> {
  for (let from = 0; from < planted.rows; from += rowsPerStatement) {
    const to = Math.min(planted.rows, from + rowsPerStatement) - 1;
    await stage.database.sql.unsafe(
      `INSERT INTO ${table} (group_id, seq, epoch, kind, msg_id, received_at, body)
       SELECT decode(md5($4 || n % ${groups}), 'hex'), n / ${groups} + 1, 1, 1, gen_random_uuid(), $3, decode(repeat(md5(n::text), 64), 'hex')
       FROM generate_series($1::integer, $2::integer) n`,
      [from, to, planted.at, table],
    );
  }
  await stage.database.sql.unsafe(`ANALYZE ${table}`);
  await stage.database.sql`CHECKPOINT`;
}

/** What the service would do without partitions. */
async function deleteAll(stage: BenchServer, partition: string): Promise<void> {
  for (;;) {
    const { count } = await stage.database.sql.unsafe(
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
