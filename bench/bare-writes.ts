import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '#storage/connection/database.ts';
import type { Seed } from './seed.ts';
import type { BenchServer } from './bench-server.ts';

const clients = 16;

export interface BareWrites {
  readonly perSecond: number;
  readonly tool: 'pgbench' | 'postgres.js';
}

/**
 * Measures how many sends per second Postgres can store without the service for 16 clients, with a message, an event
 * and a counter in one transaction. Uses pgbench if it is installed (Debian's postgresql-contrib), and otherwise this
 * process, which lowers the rate.
 */
export async function measureBareWrites(server: BenchServer, seed: Seed, seconds: number): Promise<BareWrites> {
  const groups = seed.conversations.map(({ groupId }) => groupId);
  await prepare(server, groups);
  const hasPgbench = spawnSync('pgbench', ['--version']).status === 0;
  return hasPgbench
    ? { perSecond: await runPgbench(server.databaseUrl, groups.length, seconds), tool: 'pgbench' }
    : { perSecond: await runHere(server.databaseUrl, groups.length, seconds), tool: 'postgres.js' };
}

/** Creates a table that numbers the groups, because pgbench can generate only integers. */
async function prepare(server: BenchServer, groups: readonly Buffer[]): Promise<void> {
  const { sql } = server.database;
  await sql`CREATE TABLE bench_groups (number integer PRIMARY KEY, group_id bytea NOT NULL)`;
  for (const [index, groupId] of groups.entries()) {
    await sql`INSERT INTO bench_groups VALUES (${index + 1}, ${groupId})`;
  }
}

const statement = (group: string, body: string): string => `
  WITH counted AS (
    UPDATE conversation_counters c SET last_seq = last_seq + 1, last_event = last_event + 1,
           last_position = nextval('log_positions')
    FROM bench_groups g WHERE g.number = ${group} AND c.group_id = g.group_id
    RETURNING c.group_id, c.epoch, c.last_seq, c.last_event, c.last_position
  ), stored AS (
    INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT group_id, last_seq, epoch, 1, gen_random_uuid()::text, date_trunc('minute', now()), ${body} FROM counted
  )
  INSERT INTO events (group_id, position, event_no, received_at, kind, seq)
  SELECT group_id, last_position, last_event, date_trunc('minute', now()), 1, last_seq FROM counted`;

const randomBody = "decode(repeat(replace(gen_random_uuid()::text, '-', ''), 64), 'hex')";

async function runPgbench(url: string, groupCount: number, seconds: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-pgbench-'));
  try {
    const script = join(folder, 'write.sql');
    await writeFile(
      script,
      `\\set number random(1, ${groupCount})\n${statement(':number', randomBody).replaceAll('\n', ' ')};\n`,
    );
    const args = ['-n', '-M', 'prepared', '-c', String(clients), '-j', '2', '-T', String(seconds), '-f', script, url];
    const output = await outputOf('pgbench', args);
    const tps = /tps = ([\d.]+)/.exec(output)?.[1];
    if (tps === undefined) throw new Error(`pgbench did not print its rate: ${output}`);
    return Number(tps);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.once('error', reject).once('exit', () => resolve(output));
  });
}

async function runHere(url: string, groupCount: number, seconds: number): Promise<number> {
  const database = openDatabase({ url, poolSize: clients, applicationName: 'nightjar-bench-bare' });
  const text = statement('$1', randomBody);
  const endMs = performance.now() + seconds * 1_000;
  let written = 0;
  const write = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await database.sql.unsafe(text, [1 + Math.floor(Math.random() * groupCount)], { prepare: true });
      written += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, write));
  await database.close();
  return written / seconds;
}
