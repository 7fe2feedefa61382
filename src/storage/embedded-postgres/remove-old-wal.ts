import { sql } from 'kysely';
import type { Db } from '../connection/database.ts';

/**
 * Makes Postgres remove the WAL of before: begins a new segment and writes a checkpoint, after which the earlier segments go. The
 * embedded Postgres does not reuse them (`wal_recycle=off`). Archived segments, and those that a standby still needs, stay.
 * The role must be a superuser, as that of the embedded Postgres is.
 */
export async function removeOldWal(db: Db): Promise<void> {
  await sql`SELECT pg_switch_wal()`.execute(db);
  await sql`CHECKPOINT`.execute(db);
}
