import { flushCompileCache } from 'node:module';
import { jobNames } from '#jobs/catalogue.ts';
import type { JobSchedules } from '#jobs/queue/queue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startWorkers } from '../../../workers/main.ts';

const clock = systemClock;
const config = readConfig(process.env);
const databaseUrl = config.DATABASE_URL ?? '';
const pattern = process.env['SCHEDULE'] ?? '* * * * * *';
await startWorkers({
  databaseUrl,
  database: openDatabase({ url: databaseUrl, poolSize: 4, applicationName: 'nightjar-worker' }),
  config,
  clock,
  logger: createLogger('error'),
  metrics: createMetrics({ methods: [], quotas: [], jobs: jobNames }),
  schedules: Object.fromEntries(jobNames.map((name) => [name, pattern])) as JobSchedules,
});
console.log('started');
// Node writes the cache when it exits, and tests kill this process.
flushCompileCache();
