import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from '../load/latencies.ts';
import { run } from '../server/checkout.ts';

const clients = 16;

/**
 * Runs one statement of plain SQL with 16 clients, with pgbench (Debian's postgresql-contrib).
 * @param statement may use `:number`, a random number from 1 to `numbers`.
 */
export async function runPgbench(
  url: string,
  statement: string,
  { numbers, seconds }: { readonly numbers: number; readonly seconds: number },
): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-pgbench-'));
  try {
    const script = join(folder, 'statement.sql');
    await writeFile(script, `\\set number random(1, ${numbers})\n${statement.replaceAll('\n', ' ')};\n`);
    const size = ['-c', String(clients), '-j', '2', '-T', String(seconds)];
    const output = await run('pgbench', ['-n', '-M', 'prepared', ...size, '-f', script, '-l', url], folder);
    const perSecond = Number(/tps = ([\d.]+)/.exec(output)?.[1]);
    if (!Number.isFinite(perSecond)) throw new Error(`pgbench did not print its rate: ${output}`);
    const latenciesMs = await readLatencies(folder);
    return { operations: latenciesMs.length, seconds: latenciesMs.length / perSecond, latenciesMs };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Reads the transaction logs of pgbench, whose third field is the microseconds of a transaction. */
async function readLatencies(folder: string): Promise<number[]> {
  const logs = (await readdir(folder)).filter((name) => name.startsWith('pgbench_log'));
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[2]) / 1_000),
  );
}
