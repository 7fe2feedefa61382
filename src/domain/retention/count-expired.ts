import { sql } from 'kysely';
import type { Config } from '#platform/config/config.ts';
import type { Database, Db } from '#storage/connection/database.ts';
import { countExpiredRows } from '#storage/expiry/expiring-rows.ts';
import { listExpiredPartitions, partitionSize } from '#storage/expiry/partitions.ts';
import { retentionClasses } from './retention-classes.ts';
import type { RetentionClassName } from './retention-classes.ts';

/** The expired rows of a retention class. */
export interface ExpiredCount {
  /** For partitions, Postgres's last estimate; undefined when the count took longer than the timeout. */
  readonly rows: number | undefined;
  /** Only for partitions, whose disk space is free as soon as they are dropped. */
  readonly sizeBytes?: number;
}

/**
 * Counts the rows of a class that its job would delete now. Each count is a read-only transaction of at most
 * `timeoutMs`, which gets no transaction id and therefore delays no delivery.
 */
export async function countExpired(
  deps: { readonly database: Database; readonly config: Config; readonly timeoutMs: number },
  name: RetentionClassName,
): Promise<ExpiredCount> {
  const { database, config, timeoutMs } = deps;
  const expiring = retentionClasses[name].expiring(config);
  if (expiring.by === 'partition') return sizeOfExpired(database, expiring);
  const count = (db: Db): Promise<number> =>
    expiring.by === 'row' ? countExpiredRows(db, expiring.rows) : expiring.count(db);
  try {
    const rows = await database.db
      .transaction()
      .setAccessMode('read only')
      .execute(async (tx) => {
        await sql`SELECT set_config('statement_timeout', ${String(timeoutMs)}, true)`.execute(tx);
        return count(tx);
      });
    return { rows };
  } catch (error) {
    if (isTimeout(error)) return { rows: undefined };
    throw error;
  }
}

async function sizeOfExpired(
  { sql: pool }: Database,
  { table, retentionDays }: { table: 'messages' | 'events'; retentionDays: number },
): Promise<ExpiredCount> {
  let rows = 0;
  let sizeBytes = 0;
  for (const { name } of await listExpiredPartitions(pool, table, retentionDays)) {
    const size = await partitionSize(pool, name);
    rows += size?.rows ?? 0;
    sizeBytes += size?.sizeBytes ?? 0;
  }
  return { rows, sizeBytes };
}

/** Whether Postgres cancelled the statement because of its timeout (57014), or its wait for a lock (55P03). */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '57014' || error.code === '55P03');
}
