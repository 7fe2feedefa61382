import { sql } from 'kysely';
import type { Sql, Tx } from '../connection/database.ts';

/** Rung by a worker and heard by every server. It carries nothing, and a lost ring is made up for by the next. */
const channel = 'nightjar_stock';

/** Heard when the transaction commits. */
export async function notifyKeyPackageChecks(tx: Tx): Promise<void> {
  await sql`SELECT pg_notify(${channel}, '')`.execute(tx);
}

/** Calls `onNotify` for every ring until it is closed. `direct` must not go through PgBouncer, which swallows LISTEN. */
export async function listenForKeyPackageChecks(
  direct: Sql,
  onNotify: () => void,
): Promise<{ close(): Promise<void> }> {
  const listening = await direct.listen(channel, onNotify);
  return { close: () => listening.unlisten() };
}
