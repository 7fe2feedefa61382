import { defineCommand } from 'citty';
import { isJobName, jobNames, jobs } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { openJobQueue } from '#jobs/queue/queue.ts';
import { queueLocationOf } from '#jobs/queue/queue-location.ts';
import { nextTimeMs } from '#jobs/scheduled-time.ts';
import { pauseJob, readJobStates, resumeJob } from '#jobs/leases/acquire-lease.ts';
import type { JobState } from '#jobs/leases/acquire-lease.ts';
import type { OperatorCommand } from '#ops/operator-actions.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Database } from '#storage/connection/database.ts';
import { jobRuns } from '../../workers/main.ts';
import { runJobByHand } from '../../workers/start-worker.ts';
import { recordAction } from '../record-action.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

type JobCommand = Extract<OperatorCommand, `jobs.${string}`>;

interface JobTask {
  readonly action: JobCommand;
  readonly description: string;
  /**
   * Runs the task on one job.
   * @returns the result as JSON fields and as a sentence.
   */
  run(name: JobName, deps: { config: Config; database: Database; databaseUrl: string }): Promise<JobReport>;
}

interface JobReport {
  readonly fields: Readonly<Record<string, string | number | boolean>>;
  readonly text: string;
}

const tasks = {
  run: {
    action: 'jobs.run',
    description: 'Run one job now, in this process, even if it is paused',
    async run(name, { config, database }) {
      const reports = {
        logger: createLogger('error'),
        metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
      };
      const { removed } = await runJobByHand(name, jobRuns[name], { database, config, clock: systemClock, ...reports });
      return { fields: { removed }, text: `done, ${removed} removed.` };
    },
  },
  pause: {
    action: 'jobs.pause',
    description: 'Skip the scheduled runs of a job, in all workers, until it is resumed',
    async run(name, { database }) {
      await pauseJob(database.sql, name);
      return { fields: { paused: true }, text: 'paused. Expired data of this job stays until you resume it.' };
    },
  },
  resume: {
    action: 'jobs.resume',
    description: 'Allow the scheduled runs of a job again, also after the clock was ahead',
    async run(name, { database }) {
      await resumeJob(database.sql, name);
      return { fields: { paused: false }, text: 'resumed; it runs at its next scheduled time.' };
    },
  },
  retry: {
    action: 'jobs.retry',
    description: 'Retry the failed runs of a job now',
    async run(name, { config, databaseUrl }) {
      const queue = await openJobQueue({
        location: queueLocationOf(config, databaseUrl),
        clock: systemClock,
        leaseMs: config.JOB_LEASE_MS,
        onError: () => undefined,
      });
      try {
        const retried = await queue.retryFailed(name);
        const text =
          retried === 0 ? 'no run has failed; to run it now: npm run admin -- jobs run' : `${retried} retried.`;
        return { fields: { retried }, text };
      } finally {
        await queue.close();
      }
    },
  },
} as const satisfies Record<string, JobTask>;

async function perform(task: JobTask, name: string): Promise<void> {
  if (!isJobName(name)) throw new UsageError(`There is no job "${name}". The jobs are: ${jobNames.join(', ')}.`);
  const config = readConfig(process.env);
  const { fields, text } = await withDatabase(config, async (database, databaseUrl) => {
    await recordAction({ config, database }, task.action, name);
    return task.run(name, { config, database, databaseUrl });
  });
  console.log(process.stdout.isTTY ? `${name}: ${text}` : JSON.stringify({ job: name, ...fields }));
}

async function showAll(): Promise<void> {
  const states = await withDatabase(readConfig(process.env), ({ sql }) => readJobStates(sql));
  const byName = new Map(states.map((state) => [state.job, state]));
  for (const name of jobNames) {
    const state = byName.get(name);
    console.log(process.stdout.isTTY ? lineOf(name, state) : JSON.stringify(fieldsOf(name, state)));
  }
}

function fieldsOf(name: JobName, state: JobState | undefined): Record<string, string | boolean | null> {
  const { schedule, description } = jobs[name];
  return {
    job: name,
    schedule,
    state: stateOf(state),
    lastSuccess: state?.succeededAt?.toISOString() ?? null,
    next: new Date(nextTimeMs(schedule, systemClock.nowMs())).toISOString(),
    touches: description,
  };
}

function lineOf(name: JobName, state: JobState | undefined): string {
  const { schedule, description } = jobs[name];
  const last = state?.succeededAt?.toISOString().slice(0, 16) ?? 'never';
  return `${name.padEnd(26)}${schedule.padEnd(14)}${stateOf(state).padEnd(9)}${last.padEnd(18)}${description}`;
}

function stateOf(state: JobState | undefined): string {
  if (state === undefined) return 'waiting';
  if (state.isRunning) return 'running';
  return state.pausedAt === null ? 'waiting' : 'paused';
}

const list = defineCommand({
  meta: { name: 'list', description: 'List every job: schedule (UTC), state, last success and purpose' },
  run: () => command(showAll),
});

const subCommands = Object.fromEntries(
  Object.entries<JobTask>(tasks).map(([name, task]) => [
    name,
    defineCommand({
      meta: { name, description: task.description },
      args: { name: { type: 'positional', required: true, description: jobNames.join(', ') } },
      run: ({ args }) => command(() => perform(task, args.name)),
    }),
  ]),
);

export const jobsCommand = defineCommand({
  meta: { name: 'jobs', description: 'List, run, pause, resume and retry scheduled jobs' },
  subCommands: { list, ...subCommands },
});
