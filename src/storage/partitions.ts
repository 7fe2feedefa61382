import type { Clock } from '#platform/clock.ts';
import type { Sql, SqlTx } from './database.ts';

/** A table partitioned by `received_at`. */
export type PartitionedTable = 'messages' | 'events';

interface Partition {
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
 * Width of one partition: an eighth of the retention in whole days, so that about eight are live. A keyed read loses 25 %
 * to 8 partitions and 43 % to 31; bytes leave at most one width after the retention ends.
 */
export function partitionWidthDays(retentionDays: number): number {
  return Math.ceil(retentionDays / livePartitions);
}

/**
 * Makes partitions ahead until at least one whole width after the current one exists. Any number of servers and workers
 * may call it at once: an advisory lock lets one through, the others find the work done.
 * @returns how many partitions were made.
 */
export async function createPartitionsAhead(sql: Sql, table: PartitionedTable, retentionDays: number): Promise<number> {
  const widthMs = partitionWidthDays(retentionDays) * dayMs;
  return sql.begin(async (tx) => {
    await tx`SELECT pg_advisory_xact_lock(hashtext(${`partitions/${table}`}))`;
    const [row] = await tx<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
    const nowMs = row?.nowMs ?? 0;
    // A time bucket may be as long as a day, so rows of today may carry yesterday's date.
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

/** ATTACH takes a weaker lock on the parent than CREATE … PARTITION OF, so running inserts and reads are not held up. */
async function createPartition(tx: SqlTx, table: PartitionedTable, fromMs: number, toMs: number): Promise<void> {
  const name = partitionName(table, fromMs, toMs);
  await tx.unsafe(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`);
  await tx.unsafe(
    `ALTER TABLE ${table} ATTACH PARTITION ${name}
     FOR VALUES FROM ('${new Date(fromMs).toISOString()}') TO ('${new Date(toMs).toISOString()}')`,
  );
}

/**
 * Drops every partition whose newest possible row is older than the retention, by the database's clock. A drop waits at most
 * 200 ms for its lock and then tries again later, because writers queue behind a waiting DROP.
 * @returns how many partitions are gone.
 */
export async function dropExpiredPartitions(
  deps: { sql: Sql; clock: Clock },
  table: PartitionedTable,
  retentionDays: number,
): Promise<number> {
  const [row] = await deps.sql<{ nowMs: number }[]>`SELECT (extract(epoch FROM now()) * 1000)::bigint AS "nowMs"`;
  const floorMs = (row?.nowMs ?? 0) - retentionDays * dayMs;
  let dropped = 0;
  for (const partition of await listPartitions(deps.sql, table)) {
    if (partition.toMs <= floorMs && (await dropPartition(deps, partition.name))) dropped += 1;
  }
  return dropped;
}

async function dropPartition(deps: { sql: Sql; clock: Clock }, name: string): Promise<boolean> {
  for (let attempt = 0; attempt < dropAttemptsMax; attempt++) {
    try {
      await deps.sql.begin(async (tx) => {
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

/** The partitions of `table`, oldest first; their names carry their bounds. */
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
