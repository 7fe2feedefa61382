import { sql } from 'kysely';
import type { Db } from '../connection/database.ts';

/**
 * Makes Postgres remove older WAL: starts a new segment and runs a checkpoint, which removes earlier segments. The
 * embedded Postgres does not recycle them (`wal_recycle=off`). Segments that an archive or a standby still needs
 * remain. Requires a superuser role, as in the embedded Postgres.
 */
export async function removeOldWal(db: Db): Promise<void> {
  await sql`SELECT pg_switch_wal()`.execute(db);
  await sql`CHECKPOINT`.execute(db);
}
