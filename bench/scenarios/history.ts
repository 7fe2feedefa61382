import type { Side } from '../load/side.ts';
import { runRounds } from '../run-rounds.ts';
import { pageWorkloads } from '../workloads/pages.ts';
import { sendWorkloads } from '../workloads/sends.ts';
import type { Workload } from '../workloads/workload.ts';
import type { Scenario } from './scenario.ts';

const smallMessages = 100_000;
const largeMessages = 10_000_000;
const messagesPerStatement = 200_000;
const rounds = 3;

/**
 * Measures sends and pages with 100,000 and with 10,000,000 stored messages. Inserted bodies have 64 bytes, because the
 * indexes and not the bodies decide the cost of a lookup.
 */
export const history: Scenario = {
  name: 'history',
  title: 'Sends and pages with 100,000 and with 10,000,000 stored messages',
  async measure(side) {
    const [sends, pages] = [sendWorkloads[0], pageWorkloads[0]];
    if (sends === undefined || pages === undefined) throw new Error('there are no workloads');
    await insertMessages(side, smallMessages);
    const before = { sends: await costOf(side, sends), pages: await costOf(side, pages) };
    await insertMessages(side, largeMessages - smallMessages);
    const after = { sends: await costOf(side, sends), pages: await costOf(side, pages) };
    return {
      'history.sendCpuRatio': after.sends / before.sends,
      'history.pageCpuRatio': after.pages / before.pages,
      'history.sendCpuUs': after.sends,
      'history.pageCpuUs': after.pages,
    };
  },
};

/** Returns the CPU microseconds of server and Postgres together per operation, the median of three rounds. */
async function costOf(side: Side, workload: Workload): Promise<number> {
  const options = { rounds, onRound: () => undefined };
  const { current } = await runRounds(workload, { current: side, baseline: undefined }, options);
  return current.serverCpuUs.median + current.postgresCpuUs.median;
}

/** Inserts messages into the seeded conversations, with numbers before those that the service gave. */
async function insertMessages({ server, conversations }: Side, count: number): Promise<void> {
  const { sql } = server.database;
  await sql`CREATE TABLE IF NOT EXISTS bench_history (number integer PRIMARY KEY, group_id bytea NOT NULL)`;
  const rows = conversations.map(({ groupId }, index) => ({ number: index, group_id: groupId }));
  await sql`INSERT INTO bench_history ${sql(rows)} ON CONFLICT DO NOTHING`;
  const [row] = await sql<{ stored: number }[]>`SELECT count(*)::integer AS stored FROM messages WHERE seq < 0`;
  const stored = row?.stored ?? 0;
  for (let from = stored; from < stored + count; from += messagesPerStatement) {
    const to = Math.min(stored + count, from + messagesPerStatement) - 1;
    await sql`
      INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
      SELECT g.group_id, -1 - n / ${conversations.length}, 0, 1, gen_random_uuid(), date_trunc('minute', now()),
             decode(repeat(md5(n::text), 4), 'hex')
      FROM generate_series(${from}::integer, ${to}::integer) n JOIN bench_history g ON g.number = n % ${conversations.length}`;
  }
  await sql`ANALYZE messages`;
  await sql`CHECKPOINT`;
}
