import type { Clock } from '#platform/clock.ts';
import type { Sql, SqlTx } from '../connection/database.ts';

/** A table partitioned by `received_at`. */
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
 * The width of one partition: an eighth of the retention in whole days, so that about eight exist. A keyed read is 25 %
 * slower with 8 partitions and 43 % slower with 31; bytes are removed at most one width after the retention ends.
 */
export function partitionWidthDays(retentionDays: number): number {
  return Math.ceil(retentionDays / livePartitions);
}

/**
 * Creates partitions until at least one whole width after the current one exists. Any number of servers and workers may
 * call it at once: an advisory lock admits one, and the others find the partitions created.
 * @returns the number of created partitions.
 */
export async function createPartitionsAhead(sql: Sql, table: PartitionedTable, retentionDays: number): Promise<number> {
  const widthMs = partitionWidthDays(retentionDays) * dayMs;
  return sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(hashtext(${`partitions/${table}`}))`;
    const [row] = await tx<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
    const nowMs = row?.nowMs ?? 0;
    // A time bucket may be as long as a day, so a row written today may have yesterday's date.
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
 * ATTACH takes a weaker lock on the parent than CREATE … PARTITION OF, so running inserts and reads are not blocked.
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
 * The result of dropping partitions; rows are the last estimate of Postgres, because counting would read all of them.
 */
export interface DroppedPartitions {
  readonly partitions: number;
  readonly rows: number;
  readonly sizeBytes: number;
}

export interface DropDeps {
  readonly sql: Sql;
  readonly clock: Clock;
  /** Called first in each transaction; an error stops the whole operation. */
  readonly confirm: (tx: SqlTx) => Promise<void>;
}

/**
 * Drops every partition whose newest possible row is older than the retention, by the database's clock. A drop waits at
 * most 200 ms for its lock and is retried later, because writers queue behind a waiting DROP.
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

/** The partitions without a row within the retention, oldest first. */
export async function listExpiredPartitions(
  sql: Sql,
  table: PartitionedTable,
  retentionDays: number,
): Promise<Partition[]> {
  const [row] = await sql<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
  const floorMs = (row?.nowMs ?? 0) - retentionDays * dayMs;
  return (await listPartitions(sql, table)).filter(({ toMs }) => toMs <= floorMs);
}

/** The maximum age of rows in the oldest partition, and how long ago it could have been dropped. */
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

/** The size on disk, with indexes and TOAST; undefined when the partition does not exist. */
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

/** The partitions of `table`, oldest first; their names contain their bounds. */
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
