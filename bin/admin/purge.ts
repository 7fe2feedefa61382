import { progress } from '@clack/prompts';
import { defineCommand } from 'citty';
import { countExpired } from '#domain/retention/count-expired.ts';
import { retentionClasses, retentionClassNames } from '#domain/retention/retention-classes.ts';
import { jobNames } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import type { Config } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Database } from '#storage/connection/database.ts';
import { jobRuns } from '../../workers/main.ts';
import { JobFailedError, JobNotRunError, runJobByHand } from '../../workers/start-worker.ts';
import { recordAction } from '../record-action.ts';
import { withDatabase } from '../with-database.ts';
import { command, UsageError } from './command.ts';

const countTimeoutMs = 30_000;

type Fields = Readonly<Record<string, string | number | null>>;

interface Step {
  readonly name: string;
  run(): Promise<{ readonly fields: Fields; readonly text: string }>;
}

/**
 * Runs the steps. On a terminal it shows a progress bar and lists all reports at the end; otherwise it prints one JSON
 * line per step.
 */
async function runSteps(title: string, steps: readonly Step[]): Promise<void> {
  if (!process.stdout.isTTY) {
    for (const step of steps) console.log(JSON.stringify((await step.run()).fields));
    return;
  }
  const bar = progress({ max: steps.length });
  const lines: string[] = [];
  bar.start(title);
  try {
    for (const step of steps) {
      bar.message(step.name);
      lines.push(`${step.name.padEnd(34)}${(await step.run()).text}`);
      bar.advance(1);
    }
  } catch (error) {
    bar.error('Stopped before the end.');
    throw error;
  }
  bar.stop(title);
  for (const line of lines) console.log(line);
}

function countingSteps(database: Database, config: Config): Step[] {
  return retentionClassNames.map((name) => ({
    name,
    async run() {
      const { rows, sizeBytes } = await countExpired({ database, config, timeoutMs: countTimeoutMs }, name);
      const { job } = retentionClasses[name];
      const bytes = sizeBytes === undefined ? '' : `, ${sizeBytes} bytes`;
      return {
        fields: { class: name, job, rows: rows ?? null, ...(sizeBytes === undefined ? {} : { sizeBytes }) },
        text: rows === undefined ? `not counted within ${countTimeoutMs / 1_000} s` : `${rows}${bytes}`,
      };
    },
  }));
}

/** Creates the step that runs one job. A job that fails or does not run is reported, and the next step still runs. */
function runningStep(name: JobName, deps: { database: Database; config: Config }, failed: JobName[]): Step {
  const reports = {
    logger: createLogger('error'),
    metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
  };
  return {
    name,
    async run() {
      await recordAction(deps, 'purge', name);
      try {
        const result = await runJobByHand(name, jobRuns[name], { ...deps, clock: systemClock, ...reports });
        const { removed, removedSizeBytes = 0 } = result;
        return { fields: { job: name, removed, removedSizeBytes }, text: `${removed} removed` };
      } catch (error) {
        if (!(error instanceof JobFailedError || error instanceof JobNotRunError)) throw error;
        failed.push(name);
        const reason = error instanceof JobNotRunError ? error.reason : 'failed';
        return { fields: { job: name, notRun: reason }, text: error.message };
      }
    },
  };
}

async function purge(isDryRun: boolean): Promise<void> {
  const config = readConfig(process.env);
  const failed: JobName[] = [];
  await withDatabase(config, async (database) => {
    if (isDryRun) return runSteps('What the jobs would remove now', countingSteps(database, config));
    const removing = new Set<string>(Object.values(retentionClasses).map(({ job }) => job));
    const steps = jobNames
      .filter((name) => removing.has(name))
      .map((name) => runningStep(name, { database, config }, failed));
    return runSteps('What the jobs removed', steps);
  });
  if (failed.length > 0) throw new UsageError(`Not done: ${failed.join(', ')}. See npm run admin -- jobs list.`);
}

export const purgeCommand = defineCommand({
  meta: { name: 'purge', description: 'Run every job that removes expired data, one after the other' },
  args: {
    'dry-run': {
      type: 'boolean',
      default: false,
      description: 'Only count the expired rows per retention class; delete nothing',
    },
  },
  run: ({ args }) => command(() => purge(args['dry-run'])),
});
