import type { SeededConversation } from '../load/conversations.ts';
import type { Side } from '../load/side.ts';
import { filledConversationsOf, pageMessages } from '../workloads/pages.ts';
import type { Workload } from '../workloads/workload.ts';
import { runPgbench } from './pgbench.ts';

/** The statement that one send needs at least: a message, an event and the counters, in one transaction. */
const writeStatement = `
  WITH counted AS (
    UPDATE conversation_counters c SET last_seq = last_seq + 1, last_event = last_event + 1,
           last_position = nextval('log_positions')
    FROM bench_groups g WHERE g.number = :number AND c.group_id = g.group_id
    RETURNING c.group_id, c.epoch, c.last_seq, c.last_event, c.last_position
  ), stored AS (
    INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT group_id, last_seq, epoch, 1, gen_random_uuid()::text, date_trunc('minute', now()),
           decode(repeat(replace(gen_random_uuid()::text, '-', ''), 64), 'hex') FROM counted
  )
  INSERT INTO events (group_id, position, event_no, received_at, kind, seq)
  SELECT group_id, last_position, last_event, date_trunc('minute', now()), 1, last_seq FROM counted`;

/** The statement that one page needs at least. */
const readStatement = `
  SELECT m.seq, m.epoch, m.kind, m.msg_id, m.received_at, m.body FROM messages m
  WHERE m.group_id = (SELECT g.group_id FROM bench_page_groups g WHERE g.number = :number) AND m.seq > 0
  ORDER BY m.seq LIMIT ${pageMessages}`;

export const bareWrites: Workload = {
  name: 'bare-writes',
  title: 'Reference: the write of one send as one transaction of plain SQL, 16 clients (pgbench)',
  unit: 'write',
  isReference: true,
  async prepare(side) {
    await side.once('bench_groups', () => numberGroups(side, 'bench_groups', side.conversations));
    const size = { numbers: side.conversations.length, seconds: side.plan.bareSeconds };
    return { run: () => runPgbench(side.server.databaseUrl, writeStatement, size) };
  },
};

export const bareReads: Workload = {
  name: 'bare-reads',
  title: 'Reference: the read of one page as plain SQL, 16 clients (pgbench)',
  unit: 'read',
  isReference: true,
  async prepare(side) {
    const filled = await filledConversationsOf(side);
    await side.once('bench_page_groups', () => numberGroups(side, 'bench_page_groups', filled));
    const size = { numbers: filled.length, seconds: side.plan.bareSeconds };
    return { run: () => runPgbench(side.server.databaseUrl, readStatement, size) };
  },
};

/** Creates a table that numbers the groups, because pgbench can generate only integers. */
async function numberGroups(
  { server }: Side,
  table: string,
  conversations: readonly SeededConversation[],
): Promise<void> {
  const { sql } = server.database;
  await sql`CREATE TABLE ${sql(table)} (number integer PRIMARY KEY, group_id bytea NOT NULL)`;
  const rows = conversations.map(({ groupId }, index) => ({ number: index + 1, group_id: groupId }));
  await sql`INSERT INTO ${sql(table)} ${sql(rows)}`;
}
