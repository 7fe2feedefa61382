import { sql } from 'kysely';
import type { Sql, Tx } from './database.ts';

/** Rung by a worker and heard by every server. It carries nothing, and a lost ring is made up for by the next. */
const channel = 'nightjar_stock';

/** Heard when the transaction commits. */
export async function ringStockBell(tx: Tx): Promise<void> {
  await sql`SELECT pg_notify(${channel}, '')`.execute(tx);
}

/** Calls `onRing` for every ring until it is closed. `direct` must not go through PgBouncer, which swallows LISTEN. */
export async function hearStockBell(direct: Sql, onRing: () => void): Promise<{ close(): Promise<void> }> {
  const listening = await direct.listen(channel, onRing);
  return { close: () => listening.unlisten() };
}
