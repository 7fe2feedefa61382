import type { Sql } from '#storage/connection/database.ts';

/** What one table stores about one conversation. */
export interface StoredTable {
  readonly table: string;
  /** Counted up to `rowsCountedMax`. */
  readonly rowCount: number;
  /** The newest rows, the newest first, with bytes as hex. */
  readonly rows: readonly Readonly<Record<string, string>>[];
}

/** Every table with the column `group_id`, each with the columns that order its rows. */
const orderOfTables = {
  conversations: ['group_id'],
  conversation_counters: ['group_id'],
  group_infos: ['group_id'],
  members: ['joined_event', 'member'],
  policies: ['group_id'],
  messages: ['seq'],
  events: ['position', 'event_no'],
  welcomes: ['epoch', 'ref'],
  welcome_messages: ['epoch'],
  invites: ['invite_no'],
  conversation_list_changes: ['change_id'],
  removal_counts: ['day'],
  warnings: ['event_no'],
  reports: ['report_no'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export const rowsShownMax = 20;
const rowsCountedMax = 10_000;
const bytesShownMax = 32;
const textShownLengthMax = 100;

interface Column {
  readonly table: string;
  readonly name: string;
  readonly isBytes: boolean;
}

/** Reads the rows of a conversation as the operator of the database sees them. Long values are shortened in SQL. */
export async function readStoredRows(sql: Sql, groupId: Buffer): Promise<StoredTable[]> {
  const columns = await sql<Column[]>`
    SELECT table_name AS "table", column_name AS name, data_type = 'bytea' AS "isBytes"
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ANY(${Object.keys(orderOfTables)})
    ORDER BY table_name, ordinal_position`;
  return Promise.all(
    Object.entries(orderOfTables).map(([table, order]) =>
      readTable(sql, groupId, { table, order, columns: columns.filter((column) => column.table === table) }),
    ),
  );
}

async function readTable(
  sql: Sql,
  groupId: Buffer,
  { table, order, columns }: { table: string; order: readonly string[]; columns: readonly Column[] },
): Promise<StoredTable> {
  const from = sql`FROM ${sql(table)} AS stored WHERE group_id = ${groupId}`;
  // The columns are qualified, because a bare name would mean the shortened text of the SELECT list.
  const newestFirst = order.map((column) => sql`${sql(`stored.${column}`)} DESC`);
  const [counted] = await sql<{ rowCount: number }[]>`
    SELECT count(*)::int AS "rowCount" FROM (SELECT 1 ${from} LIMIT ${rowsCountedMax}) AS counted`;
  const rows = await sql<Record<string, string>[]>`
    SELECT ${joined(
      sql,
      columns.map((column) => shown(sql, column)),
    )} ${from}
    ORDER BY ${joined(sql, newestFirst)} LIMIT ${rowsShownMax}`;
  return { table, rowCount: counted?.rowCount ?? 0, rows: rows.map((row) => ({ ...row })) };
}

/** Returns the SQL of a column as a short text. */
function shown(sql: Sql, { name, isBytes }: Column) {
  const column = sql(name);
  const text = isBytes
    ? sql`encode(substring(${column} FOR ${bytesShownMax}), 'hex') ||
        CASE WHEN octet_length(${column}) > ${bytesShownMax} THEN '… (' || octet_length(${column}) || ' bytes)' ELSE '' END`
    : sql`left(${column}::text, ${textShownLengthMax})`;
  return sql`coalesce(${text}, 'NULL') AS ${column}`;
}

function joined(sql: Sql, parts: readonly ReturnType<typeof shown>[]) {
  return parts.reduce((before, part) => sql`${before}, ${part}`);
}
