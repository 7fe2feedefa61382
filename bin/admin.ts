import { defineCommand, runMain } from 'citty';
import { isJobName, jobNames, jobs } from '#jobs/catalogue.ts';
import { encodeBase64 } from '#platform/base64.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config.ts';
import { newSecret } from '#platform/ids.ts';
import { createLogger } from '#platform/logger.ts';
import { createMetrics } from '#platform/metrics.ts';
import { jobRuns } from '../workers/main.ts';
import { JobFailedError, runJob } from '../workers/start-worker.ts';
import { describeError } from '#platform/logger.ts';
import { operatorMessage } from '../src/operator-message.ts';
import { withDatabase } from './with-database.ts';

/** A fault of the operator's: the message says what to do. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

async function command(task: () => Promise<void> | void): Promise<void> {
  try {
    await task();
  } catch (error) {
    const isExpected = error instanceof UsageError || error instanceof JobFailedError;
    console.error(isExpected ? error.message : (operatorMessage(error) ?? describeError(error)));
    process.exitCode = 1;
  }
}

async function runOnce(name: string): Promise<void> {
  if (!isJobName(name)) throw new UsageError(`There is no job "${name}". The jobs are: ${jobNames.join(', ')}.`);
  const config = readConfig(process.env);
  const reports = {
    logger: createLogger('error'),
    metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
  };
  const { removed } = await withDatabase(config, (database) =>
    runJob(name, jobRuns[name], { database, config, clock: systemClock, ...reports }),
  );
  console.log(process.stdout.isTTY ? `${name}: done, ${removed} removed.` : JSON.stringify({ job: name, removed }));
}

function printKey(id: number): void {
  if (!Number.isInteger(id) || id < 1 || id > 255)
    throw new UsageError('The id of a key must be a whole number from 1 to 255.');
  console.log(`${id}:${encodeBase64(newSecret(32))}`);
}

const run = defineCommand({
  meta: { name: 'run', description: 'Run one job now, in this process' },
  args: { name: { type: 'positional', required: true, description: jobNames.join(' or ') } },
  run: ({ args }) => command(() => runOnce(args.name)),
});

const list = defineCommand({
  meta: { name: 'list', description: 'Show every job, when it runs (UTC), and what it does' },
  run: () => {
    for (const name of jobNames)
      console.log(`${name.padEnd(20)}${jobs[name].schedule.padEnd(14)}${jobs[name].touches}`);
  },
});

const newKey = defineCommand({
  meta: { name: 'new', description: 'Print a new key for IDENTITY_KEY; keep a copy apart from the database' },
  args: { id: { type: 'string', default: '1', description: 'From 1 to 255, unused so far in your key ring' } },
  run: ({ args }) => command(() => printKey(Number(args.id))),
});

await runMain(
  defineCommand({
    meta: { name: 'npm run admin --', description: 'What an operator does by hand' },
    subCommands: {
      jobs: defineCommand({ meta: { name: 'jobs', description: 'Scheduled work' }, subCommands: { run, list } }),
      key: defineCommand({
        meta: { name: 'key', description: 'Keys for names at rest' },
        subCommands: { new: newKey },
      }),
    },
  }),
);
