import { defineCommand } from 'citty';
import { isJobName, jobNames, jobs } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config.ts';
import { createLogger } from '#platform/logger.ts';
import { createMetrics } from '#platform/metrics.ts';
import { jobRuns } from '../../workers/main.ts';
import { runJobByHand } from '../../workers/start-worker.ts';
import { recordAction } from '../record-action.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

async function runOnce(name: string): Promise<void> {
  if (!isJobName(name)) throw new UsageError(`There is no job "${name}". The jobs are: ${jobNames.join(', ')}.`);
  const config = readConfig(process.env);
  const reports = {
    logger: createLogger('error'),
    metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
  };
  const { removed } = await withDatabase(config, async (database) => {
    await recordAction({ config, database }, 'jobs.run', name);
    return runJobByHand(name, jobRuns[name], { database, config, clock: systemClock, ...reports });
  });
  console.log(process.stdout.isTTY ? `${name}: done, ${removed} removed.` : JSON.stringify({ job: name, removed }));
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

export const jobsCommand = defineCommand({
  meta: { name: 'jobs', description: 'Scheduled work' },
  subCommands: { run, list },
});
