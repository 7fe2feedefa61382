import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { progress } from '@clack/prompts';
import { defineCommand, runMain } from 'citty';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { fuzzFraming } from './framing-fuzz.ts';
import { startFuzzServer } from './fuzz-server.ts';

const framingStep = 10_000;

const command = defineCommand({
  meta: {
    name: 'fuzz',
    description:
      'Sends generated requests to every method, or mutated bytes to the MLS parsers, and reports contract violations.',
  },
  args: {
    cases: { type: 'string', default: '5000', description: 'Requests for each method.' },
    method: { type: 'string', description: 'Only this method, without its namespace.' },
    framing: {
      type: 'string',
      description: 'Number of mutated byte strings for the MLS parsers, instead of requests.',
    },
    seed: { type: 'string', description: 'Seed of the generator, to repeat a run; default: the time.' },
  },
  async run({ args }) {
    const seed = wholeNumber(args.seed ?? String(Date.now() % 1_000_000_007));
    const violations =
      args.framing === undefined
        ? await fuzzMethods({ seed, cases: wholeNumber(args.cases), only: args.method })
        : await fuzzReaders({ seed, count: wholeNumber(args.framing) });
    printJson({ seed, violations });
    // The server's verification thread may still run.
    process.exit(violations === 0 ? 0 : 1);
  },
});

async function fuzzMethods(plan: { seed: number; cases: number; only: string | undefined }): Promise<number> {
  const database = await privateDatabase();
  const server = await startFuzzServer(database).catch(async (error: unknown) => {
    await database.close();
    throw error;
  });
  let violations = 0;
  try {
    const methods = server.methods.filter(({ name }) => plan.only === undefined || name === plan.only);
    if (methods.length === 0) throw new Error(`there is no method ${plan.only}`);
    const bar = startBar(methods.length);
    for (const method of methods) {
      const startedMs = performance.now();
      const report = await server.run(method, plan);
      const perSecond = Math.round((report.sent / (performance.now() - startedMs)) * 1_000);
      violations += report.violations.length;
      bar.advance(1, `${method.name}: ${report.sent} sent, ${report.violations.length} violations`);
      if (!isTerminal || report.violations.length > 0) printJson({ ...report, perSecond });
    }
    bar.stop();
    printJson({ lagMsMax: Math.round(server.lagMsMax()) });
  } finally {
    await server.close();
  }
  return violations;
}

async function fuzzReaders({ seed, count }: { seed: number; count: number }): Promise<number> {
  const bar = startBar(Math.ceil(count / framingStep));
  const report = await fuzzFraming({ seed, count, onProgress: { every: framingStep, call: () => bar.advance(1) } });
  bar.stop();
  printJson(report);
  return report.violations.length;
}

/** Starts a Postgres in a temporary folder and applies every migration; closing it removes the folder. */
async function privateDatabase(): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), 'nightjar-fuzz-'));
  const embedded = await startEmbeddedPostgres({ dataDir, clock: systemClock, durability: 'fast' });
  const database = openDatabase({ url: embedded.url, poolSize: 4, applicationName: 'nightjar-fuzz' });
  const maintenance = openDatabase({
    url: embedded.url,
    poolSize: 1,
    applicationName: 'nightjar-fuzz',
    purpose: 'maintenance',
  });
  await migrateUp(maintenance);
  await maintenance.close();
  return {
    ...database,
    url: embedded.url,
    close: async () => {
      await database.close();
      await embedded.stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

const isTerminal = process.stdout.isTTY;

/** Starts a progress bar, which shows nothing unless the output is a terminal. */
function startBar(max: number): { advance(step: number, message?: string): void; stop(): void } {
  if (!isTerminal) return { advance: () => undefined, stop: () => undefined };
  const bar = progress({ max });
  bar.start('fuzzing');
  return { advance: (step, message) => bar.advance(step, message), stop: () => bar.stop('done') };
}

/** Prints one line of JSON. */
function printJson(facts: object): void {
  console.log(JSON.stringify(facts));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${text} is not a whole number`);
  return value;
}

await runMain(command);
