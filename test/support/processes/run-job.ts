import { Writable } from 'node:stream';
import { jobNames } from '#jobs/catalogue.ts';
import type { JobName } from '#jobs/catalogue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import type { Database } from '#storage/connection/database.ts';
import { jobRuns } from '../../../workers/main.ts';
import { runJobByHand } from '../../../workers/start-worker.ts';

/** Runs a job as the operator's command does. @returns the number of removed rows. */
export async function runJob(database: Database, name: JobName, env: Record<string, string> = {}): Promise<number> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const deps = {
    database,
    config: readConfig(env),
    clock: systemClock,
    logger: createLogger('silent', nowhere),
    metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
  };
  return (await runJobByHand(name, jobRuns[name], deps)).removed;
}
