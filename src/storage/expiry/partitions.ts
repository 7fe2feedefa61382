import type { Clock } from '#platform/clock.ts';
import type { Sql, SqlTx } from '../connection/database.ts';

/** A table that is partitioned by `received_at`. */
export type PartitionedTable = 'messages' | 'events';

export interface Partition {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

const dayMs = 86_400_000;
const livePartitions = 8;
const lockTimeoutMs = 200;
const retryDelayMs = 250;
const dropAttemptsMax = 40;

/**
 * Returns the width of a partition in days, an eighth of the retention. More partitions slow down a read by key (by 25
 * % with 8 partitions, by 43 % with 31), and wider partitions delay the removal of expired rows by up to one width.
 */
export function partitionWidthDays(retentionDays: number): number {
  return Math.ceil(retentionDays / livePartitions);
}

/**
 * Creates partitions until one whole width after the present one exists. Any number of servers and workers may call it
 * at once, because an advisory lock serializes them.
 * @returns the number of created partitions.
 */
export async function createPartitionsAhead(sql: Sql, table: PartitionedTable, retentionDays: number): Promise<number> {
  const widthMs = partitionWidthDays(retentionDays) * dayMs;
  return sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(hashtext(${`partitions/${table}`}))`;
    const [row] = await tx<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
    const nowMs = row?.nowMs ?? 0;
    // A time bucket may be as long as a day, so a row that is written now may have yesterday's date.
    const yesterdayMs = Math.floor(nowMs / dayMs) * dayMs - dayMs;
    const partitions = await listPartitions(tx, table);
    let fromMs = Math.max(yesterdayMs, ...partitions.map((partition) => partition.toMs));
    let created = 0;
    for (; fromMs <= nowMs + widthMs; fromMs += widthMs) {
      await createPartition(tx, table, fromMs, fromMs + widthMs);
      created += 1;
    }
    return created;
  });
}

/**
 * Creates a table and attaches it as a partition, because ATTACH, unlike CREATE … PARTITION OF, does not block inserts
 * and reads.
 */
async function createPartition(tx: SqlTx, table: PartitionedTable, fromMs: number, toMs: number): Promise<void> {
  const name = partitionName(table, fromMs, toMs);
  await tx.unsafe(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`);
  await tx.unsafe(
    `ALTER TABLE ${table} ATTACH PARTITION ${name}
     FOR VALUES FROM ('${new Date(fromMs).toISOString()}') TO ('${new Date(toMs).toISOString()}')`,
  );
}

/**
 * The number and size of the dropped partitions. `rows` is an estimate of Postgres, because counting would read all
 * rows.
 */
export interface DroppedPartitions {
  readonly partitions: number;
  readonly rows: number;
  readonly sizeBytes: number;
}

export interface DropDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** Runs first in each transaction. If it throws, no further partition is dropped. */
  readonly confirm: (tx: SqlTx) => Promise<void>;
}

/**
 * Drops every partition that contains only rows older than the retention, by the database's clock. Each attempt waits
 * at most 200 ms for its lock, because writers queue behind a waiting DROP.
 */
export async function dropExpiredPartitions(
  deps: DropDeps,
  table: PartitionedTable,
  retentionDays: number,
): Promise<DroppedPartitions> {
  const dropped = { partitions: 0, rows: 0, sizeBytes: 0 };
  for (const { name } of await listExpiredPartitions(deps.sql, table, retentionDays)) {
    const size = await partitionSize(deps.sql, name);
    if (size === undefined || !(await dropPartition(deps, name))) continue;
    dropped.partitions += 1;
    dropped.rows += size.rows;
    dropped.sizeBytes += size.sizeBytes;
  }
  return dropped;
}

/** Lists the partitions that contain only rows older than the retention, oldest first. */
export async function listExpiredPartitions(
  sql: Sql,
  table: PartitionedTable,
  retentionDays: number,
): Promise<Partition[]> {
  const [row] = await sql<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
  const floorMs = (row?.nowMs ?? 0) - retentionDays * dayMs;
  return (await listPartitions(sql, table)).filter(({ toMs }) => toMs <= floorMs);
}

/**
 * Returns the maximum age of a row in the oldest partition, and how long ago the partition could have been dropped, in
 * milliseconds.
 */
export async function oldestPartitionAge(
  sql: Sql,
  table: PartitionedTable,
  retentionDays: number,
): Promise<{ oldestMs: number | undefined; overdueMs: number }> {
  const [row] = await sql<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
  const nowMs = row?.nowMs ?? 0;
  const [oldest] = await listPartitions(sql, table);
  if (oldest === undefined) return { oldestMs: undefined, overdueMs: 0 };
  return {
    oldestMs: Math.max(0, nowMs - oldest.fromMs),
    overdueMs: Math.max(0, nowMs - oldest.toMs - retentionDays * dayMs),
  };
}

/**
 * Reads the size of a partition on disk, with indexes and TOAST, and its estimated number of rows.
 * @returns undefined when the partition does not exist.
 */
export async function partitionSize(sql: Sql, name: string): Promise<{ rows: number; sizeBytes: number } | undefined> {
  const [size] = await sql<{ rows: number; sizeBytes: number }[]>`
    SELECT greatest(reltuples, 0)::bigint AS rows, pg_total_relation_size(oid) AS "sizeBytes"
    FROM pg_class WHERE oid = to_regclass(${name})`;
  return size;
}

async function dropPartition(deps: DropDeps, name: string): Promise<boolean> {
  for (let attempt = 0; attempt < dropAttemptsMax; attempt++) {
    try {
      await deps.sql.begin(async (tx) => {
        await deps.confirm(tx);
        await tx.unsafe(`SET LOCAL lock_timeout = '${lockTimeoutMs}ms'`);
        await tx.unsafe(`DROP TABLE IF EXISTS ${name}`);
      });
      return true;
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      await deps.clock.sleep(retryDelayMs);
    }
  }
  return false;
}

/** Lists the partitions of `table`, oldest first, with the bounds that their names contain. */
export async function listPartitions(sql: Sql | SqlTx, table: PartitionedTable): Promise<Partition[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ${table}::regclass ORDER BY c.relname`;
  return rows.flatMap(({ name }) => {
    const [, from, to] = /_(\d{8})_(\d{8})$/.exec(name) ?? [];
    return from === undefined || to === undefined ? [] : [{ name, fromMs: parseDay(from), toMs: parseDay(to) }];
  });
}

function partitionName(table: PartitionedTable, fromMs: number, toMs: number): string {
  return `${table}_${formatDay(fromMs)}_${formatDay(toMs)}`;
}

function formatDay(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10).replaceAll('-', '');
}

function parseDay(day: string): number {
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}T00:00:00Z`);
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}
