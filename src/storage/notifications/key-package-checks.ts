import { sql } from 'kysely';
import type { Sql, Tx } from '../connection/database.ts';

/**
 * A worker notifies this channel and every server listens. The notification has no payload; the next one makes up for a
 * lost one.
 */
const channel = 'nightjar_stock';

/** Notifies the servers when the transaction commits. */
export async function notifyKeyPackageChecks(tx: Tx): Promise<void> {
  await sql`SELECT pg_notify(${channel}, '')`.execute(tx);
}

/** Calls `onNotify` for every notification until it is closed. `direct` must not use PgBouncer, which drops LISTEN. */
export async function listenForKeyPackageChecks(
  direct: Sql,
  onNotify: () => void,
): Promise<{ close(): Promise<void> }> {
  const listening = await direct.listen(channel, onNotify);
  return { close: () => listening.unlisten() };
}
