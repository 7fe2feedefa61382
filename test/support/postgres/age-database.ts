import { listPartitions } from '#storage/expiry/partitions.ts';
import type { PartitionedTable } from '#storage/expiry/partitions.ts';
import type { Sql } from '#storage/connection/database.ts';

const dayMs = 86_400_000;
const partitionDays = 4;
/** The audit log tables, which the database protects against changes. */
const unchangeable: readonly string[] = ['audit_events', 'operator_actions'];

/** Makes all stored rows `days` days older: subtracts the time from every timestamp of every table except the audit log. */
export async function ageDatabase(sql: Sql, days: number): Promise<void> {
  for (const table of ['messages', 'events'] as const) await createEarlierPartitions(sql, table, days);
  const columns = await sql<{ table: string; column: string }[]>`
    SELECT c.table_name AS "table", c.column_name AS "column" FROM information_schema.columns c
    JOIN pg_class r ON r.relname = c.table_name AND r.relnamespace = 'public'::regnamespace AND NOT r.relispartition
    WHERE c.table_schema = 'public' AND c.data_type = 'timestamp with time zone' AND r.relkind IN ('r', 'p')`;
  const byTable = Map.groupBy(columns, ({ table }) => table);
  for (const [table, ofTable] of byTable) {
    if (unchangeable.includes(table)) continue;
    const changes = ofTable.map(({ column }) => `"${column}" = "${column}" - interval '${days} days'`);
    await sql.unsafe(`UPDATE "${table}" SET ${changes.join(', ')}`);
  }
}

/** Creates the partitions that the service would have created in that time, back to the oldest row after the change. */
async function createEarlierPartitions(sql: Sql, table: PartitionedTable, days: number): Promise<void> {
  const first = Math.min(...(await listPartitions(sql, table)).map(({ fromMs }) => fromMs));
  const oldestMs = first - (days + partitionDays) * dayMs;
  for (let toMs = first; toMs > oldestMs; toMs -= partitionDays * dayMs) {
    const [from, to] = [toMs - partitionDays * dayMs, toMs].map((timeMs) => new Date(timeMs).toISOString());
    const name = [table, ...[from, to].map((time = '') => time.slice(0, 10).replaceAll('-', ''))].join('_');
    await sql.unsafe(`CREATE TABLE ${name} PARTITION OF ${table} FOR VALUES FROM ('${from}') TO ('${to}')`);
  }
}
