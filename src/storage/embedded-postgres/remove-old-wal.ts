import { sql } from 'kysely';
import type { Db } from '../connection/database.ts';

/**
 * Starts a new WAL segment and runs a checkpoint, so that Postgres removes older segments, which contain deleted data.
 * Requires a superuser and `wal_recycle=off`, and keeps segments that an archive or a standby still needs.
 */
export async function removeOldWal(db: Db): Promise<void> {
  await sql`SELECT pg_switch_wal()`.execute(db);
  await sql`CHECKPOINT`.execute(db);
}
