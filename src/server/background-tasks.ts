import { preparePartitions } from '#domain/events/prepare-partitions.ts';
import { readHorizonLag } from '#domain/events/read-horizon-lag.ts';
import { applyDeferredWritesWhenDue } from '#domain/deferred-writes/apply-deferred-writes.ts';
import type { Clock } from '#platform/clock.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import type { Metrics } from '#platform/metrics/metrics.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { readPoolUse } from '#storage/connection/pool-use.ts';
import { removeOldWal } from '#storage/embedded-postgres/remove-old-wal.ts';
import { endRevokedStreams } from '#stream/end-revoked-streams.ts';
import type { OpenStream } from '#stream/serve-stream.ts';

export interface BackgroundTasksDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly applyIntervalSeconds: number;
  /** Whether to remove old WAL; true for the embedded Postgres only. */
  readonly removesOldWal: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly applicationName: string;
  readonly messageTtlDays: number;
  readonly eventTtlDays: number;
  readonly openStreams: Iterable<OpenStream>;
  readonly refusedAccount: (did: string) => Buffer;
}

const gaugesIntervalMs = 5_000;
const revocationsIntervalMs = 5_000;
const deferredWritesCheckIntervalMs = 5_000;
const partitionsIntervalMs = 3_600_000;
const horizonWarningMs = 5_000;

/**
 * Starts the tasks that every server repeats. They update gauges, close the streams of revoked accounts, apply deferred
 * writes, and create partitions for the next days.
 */
export function startBackgroundTasks(deps: BackgroundTasksDeps): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const loops = [
    every(deps, stopping.signal, { part: 'tail', intervalMs: gaugesIntervalMs, run: () => updateGauges(deps) }),
    every(deps, stopping.signal, {
      part: 'stream',
      intervalMs: revocationsIntervalMs,
      run: () => endRevokedStreams(deps),
    }),
    every(deps, stopping.signal, {
      part: 'deferred_writes',
      intervalMs: deferredWritesCheckIntervalMs,
      run: () => applyWrites(deps),
    }),
    every(deps, stopping.signal, {
      part: 'partitions',
      intervalMs: partitionsIntervalMs,
      run: () => preparePartitions(deps.database, deps),
    }),
  ];
  return {
    async stop() {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

interface BackgroundTask {
  readonly part: 'tail' | 'stream' | 'deferred_writes' | 'partitions';
  readonly intervalMs: number;
  run(): Promise<unknown>;
}

async function every(deps: BackgroundTasksDeps, signal: AbortSignal, task: BackgroundTask): Promise<void> {
  while (!signal.aborted) {
    await deps.clock.sleep(task.intervalMs, signal);
    if (signal.aborted) return;
    try {
      await task.run();
    } catch (error) {
      deps.logger.log('background_failed', { part: task.part, ...describeError(error) });
    }
  }
}

/**
 * Applies deferred writes when they are due, and then removes old WAL, because old WAL still shows the order in which
 * the rows were written.
 */
async function applyWrites({
  database,
  privacy,
  applyIntervalSeconds,
  removesOldWal,
}: BackgroundTasksDeps): Promise<void> {
  const isApplied = await applyDeferredWritesWhenDue({ db: database.db, privacy }, applyIntervalSeconds);
  if (isApplied && removesOldWal) await removeOldWal(database.db);
}

async function updateGauges(deps: BackgroundTasksDeps): Promise<void> {
  const { lagMs, pid } = await readHorizonLag(deps.database);
  deps.metrics.eventHorizonLag(lagMs);
  if (lagMs > horizonWarningMs) deps.logger.log('horizon_held', { lagMs, pid });
  const open = { websocket: 0, sse: 0 };
  for (const { transport } of deps.openStreams) open[transport] += 1;
  deps.metrics.subscribers('websocket', open.websocket);
  deps.metrics.subscribers('sse', open.sse);
  deps.metrics.databasePool(await readPoolUse(deps.database.sql, deps.applicationName));
}
