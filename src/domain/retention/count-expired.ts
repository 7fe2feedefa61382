import { sql } from 'kysely';
import type { Config } from '#platform/config/config.ts';
import type { Database, Db } from '#storage/connection/database.ts';
import { countExpiredRows } from '#storage/expiry/expiring-rows.ts';
import { listExpiredPartitions, partitionSize } from '#storage/expiry/partitions.ts';
import { retentionClasses } from './retention-classes.ts';
import type { RetentionClassName } from './retention-classes.ts';

/** The number and size of the expired rows of a retention class. */
export interface ExpiredCount {
  /** For partitions, the last estimate by Postgres; undefined if the count took longer than the timeout. */
  readonly rows: number | undefined;
  /** The size in bytes, only for partitions, because dropping a partition frees its disk space at once. */
  readonly sizeBytes?: number;
}

/**
 * Counts the rows of a class that its job would delete now. The count is a read-only transaction of at most `timeoutMs`
 * milliseconds, which takes no transaction id and so delays no delivery of events.
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

/**
 * Returns whether Postgres cancelled the statement because it ran too long (57014) or waited too long for a lock
 * (55P03).
 */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '57014' || error.code === '55P03');
}
