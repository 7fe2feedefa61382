import { sql } from 'kysely';
import type { Sql, Tx } from '../connection/database.ts';

/**
 * A worker notifies all servers on this channel, without a payload. A lost notification delays the check until the next
 * notification.
 */
const channel = 'nightjar_stock';

/** Notifies the servers when the transaction commits. */
export async function notifyKeyPackageChecks(tx: Tx): Promise<void> {
  await sql`SELECT pg_notify(${channel}, '')`.execute(tx);
}

/**
 * Calls `onNotify` for every notification until `close`. `direct` must not go through PgBouncer, which drops LISTEN.
 */
export async function listenForKeyPackageChecks(
  direct: Sql,
  onNotify: () => void,
): Promise<{ close(): Promise<void> }> {
  const listening = await direct.listen(channel, onNotify);
  return { close: () => listening.unlisten() };
}
