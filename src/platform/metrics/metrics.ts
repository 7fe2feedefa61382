import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { requestMetrics } from './request-metrics.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { retentionMetrics } from './retention-metrics.ts';
import type { RetentionMetrics } from './retention-metrics.ts';

/**
 * The allowed values of the labels for methods, quotas, jobs and retention classes. A metric counts every further value
 * as `unknown`.
 */
export interface MetricLabels {
  /** Method names without their namespace. */
  readonly methods: readonly string[];
  readonly quotas: readonly string[];
  readonly jobs: readonly string[];
  /** Absent in a process that runs no jobs. */
  readonly retentionClasses?: readonly string[];
}

/** The number of database connections that are open, that are not idle, and that wait for a lock. */
export interface PoolUse {
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
}

/**
 * Updates the Prometheus metrics, with one function for each kind of event. No label can contain a name, an address or
 * an id.
 */
export interface Metrics extends RequestMetrics, RetentionMetrics {
  quotaRefused(quota: string): void;
  /** `count` returns the number of requests in progress, and is called when the metrics are read. */
  requestsInProgress(count: () => number): void;
  /**
   * Counts a request that was refused unread, because all slots were in use (`full`) or because a delayed event loop
   * had reduced the number of slots (`late`).
   */
  requestShed(reason: 'full' | 'late'): void;
  sendFinished(result: 'stored' | 'duplicate' | 'refused'): void;
  /** Records how many sends one statement stored together. */
  batchStored(sendCount: number): void;
  /** Records for how many milliseconds the oldest open transaction has delayed the delivery of events. */
  eventHorizonLag(lagMs: number): void;
  subscribers(transport: 'websocket' | 'sse', count: number): void;
  databasePool(use: PoolUse): void;
  /**
   * Records where quotas are counted. `memory` means that there is no shared store, and `local` means that the shared
   * store is unavailable, so that each server counts separately.
   */
  quotaStore(state: 'memory' | 'shared' | 'local'): void;
  signatureBackend(backend: 'secp256k1-native' | 'node-crypto'): void;
  /**
   * Counts a run of a job. `not_run` means that the job was paused, that another worker ran it, or that the database
   * was not ready.
   */
  jobFinished(job: string, result: 'succeeded' | 'failed' | 'not_run', durationMs: number): void;
  jobRemoved(job: string, removed: { readonly rows: number; readonly sizeBytes: number }): void;
  /** Records the time from the scheduled time of a run to its start. */
  jobStarted(job: string, lagMs: number): void;
  /** Records the time between two scheduled runs of a job. */
  jobInterval(job: string, intervalMs: number): void;
  /** Records when a job last succeeded in any process, or when it was first registered if it never succeeded. */
  jobLastSucceeded(job: string, atMs: number): void;
  /** Returns all metrics in the text format of Prometheus. */
  read(): Promise<string>;
  /** Returns all metrics as values that can be sent to another process. */
  readSamples(): Promise<MetricSamples>;
  /** The HTTP content type of the result of `read`. */
  readonly contentType: string;
}

/** The metrics of one process. */
export type MetricSamples = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

const prefix = 'nightjar_';
const jobBucketsSeconds = [0.01, 0.1, 1, 10, 60, 300];
const batchBuckets = [1, 2, 4, 8, 16, 32, 64, 128];

/** Creates the metrics in a new registry, with the default metrics of the process (event loop lag, memory, CPU). */
export function createMetrics(labels: MetricLabels): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    ...requestMetrics(registry, { prefix, methodOf: closed(labels.methods) }),
    ...refusalMetrics(registry, labels),
    ...quotaMetrics(registry),
    ...admissionMetrics(registry),
    ...deliveryMetrics(registry),
    ...jobMetrics(registry, labels),
    ...retentionMetrics(registry, { classOf: closed(labels.retentionClasses ?? []), jobOf: closed(labels.jobs) }),
    read: () => registry.metrics(),
    readSamples: () => registry.getMetricsAsJSON(),
    contentType: registry.contentType,
  };
}

/** Returns a function that maps every value outside the list to `unknown`. */
function closed(words: readonly string[]): (word: string) => string {
  const known = new Set(words);
  return (word) => (known.has(word) ? word : 'unknown');
}

function quotaMetrics(registry: Registry): Pick<Metrics, 'quotaStore'> {
  const store = new Gauge({
    name: `${prefix}quota_store_info`,
    help: 'Where requests of accounts are counted; always 1. local: the shared store is unavailable.',
    aggregator: 'max',
    labelNames: ['state'],
    registers: [registry],
  });
  return {
    quotaStore(state) {
      store.reset();
      store.set({ state }, 1);
    },
  };
}

function refusalMetrics(registry: Registry, labels: MetricLabels): Pick<Metrics, 'quotaRefused' | 'signatureBackend'> {
  const registers = [registry];
  const quotaOf = closed(labels.quotas);
  const refusals = new Counter({
    name: `${prefix}quota_refusals_total`,
    help: 'Requests refused by a quota.',
    labelNames: ['quota'],
    registers,
  });
  const backends = new Gauge({
    name: `${prefix}signature_backend_info`,
    help: 'The implementation that verifies signatures; always 1.',
    aggregator: 'max',
    labelNames: ['backend'],
    registers,
  });
  return {
    quotaRefused: (quota) => refusals.inc({ quota: quotaOf(quota) }),
    signatureBackend: (backend) => {
      backends.reset();
      backends.set({ backend }, 1);
    },
  };
}

function admissionMetrics(registry: Registry): Pick<Metrics, 'requestsInProgress' | 'requestShed'> {
  const registers = [registry];
  let inProgress = (): number => 0;
  new Gauge({
    name: `${prefix}requests_in_progress`,
    help: 'Requests that the server is processing.',
    registers,
    collect() {
      this.set(inProgress());
    },
  });
  const shed = new Counter({
    name: `${prefix}requests_shed_total`,
    help: 'Requests refused at once because the server had no free slot.',
    labelNames: ['reason'],
    registers,
  });
  return {
    requestsInProgress: (count) => void (inProgress = count),
    requestShed: (reason) => shed.inc({ reason }),
  };
}

function deliveryMetrics(
  registry: Registry,
): Pick<Metrics, 'sendFinished' | 'batchStored' | 'eventHorizonLag' | 'subscribers' | 'databasePool'> {
  const registers = [registry];
  const sends = new Counter({
    name: `${prefix}sends_total`,
    help: 'Messages sent.',
    labelNames: ['result'],
    registers,
  });
  const batches = new Histogram({
    name: `${prefix}send_batch_size`,
    help: 'Sends that one statement stored together.',
    buckets: batchBuckets,
    registers,
  });
  const lag = new Gauge({
    name: `${prefix}event_horizon_lag_seconds`,
    help: 'How long the oldest open transaction that writes events has delayed delivery.',
    aggregator: 'max',
    registers,
  });
  const open = new Gauge({
    name: `${prefix}subscribers`,
    help: 'Open subscriptions.',
    labelNames: ['transport'],
    registers,
  });
  const pool = new Gauge({
    name: `${prefix}database_pool`,
    help: 'Database connections by state.',
    aggregator: 'max',
    labelNames: ['state'],
    registers,
  });
  return {
    sendFinished: (result) => sends.inc({ result }),
    batchStored: (sendCount) => batches.observe(sendCount),
    eventHorizonLag: (lagMs) => lag.set(lagMs / 1000),
    subscribers: (transport, count) => open.set({ transport }, count),
    databasePool(use) {
      pool.set({ state: 'open' }, use.open);
      pool.set({ state: 'busy' }, use.busy);
      pool.set({ state: 'waiting' }, use.waiting);
    },
  };
}

function jobMetrics(
  registry: Registry,
  labels: MetricLabels,
): Pick<Metrics, 'jobStarted' | 'jobFinished' | 'jobRemoved' | 'jobInterval' | 'jobLastSucceeded'> {
  const registers = [registry];
  const jobOf = closed(labels.jobs);
  const runs = new Counter({
    name: `${prefix}job_runs_total`,
    help: 'Runs of jobs.',
    labelNames: ['job', 'result'],
    registers,
  });
  const durations = new Histogram({
    name: `${prefix}job_duration_seconds`,
    help: 'Duration of job runs.',
    labelNames: ['job'],
    buckets: jobBucketsSeconds,
    registers,
  });
  const lastSuccess = new Gauge({
    name: `${prefix}job_last_success_timestamp_seconds`,
    help: 'Unix time of the last run that succeeded in any process, or of the registration of the job.',
    labelNames: ['job'],
    registers,
  });
  const lag = new Gauge({
    name: `${prefix}job_lag_seconds`,
    help: 'Time between the scheduled time of the last run and its start.',
    labelNames: ['job'],
    registers,
  });
  const interval = new Gauge({
    name: `${prefix}job_interval_seconds`,
    help: 'The time between two scheduled runs.',
    labelNames: ['job'],
    registers,
  });
  const [rows, sizeBytes] = (['rows', 'bytes'] as const).map(
    (unit) =>
      new Counter({
        name: `${prefix}job_removed_${unit}_total`,
        help: `Data removed by jobs, in ${unit}.`,
        labelNames: ['job'],
        registers,
      }),
  );
  return {
    jobFinished(job, result, durationMs) {
      runs.inc({ job: jobOf(job), result });
      if (result !== 'not_run') durations.observe({ job: jobOf(job) }, durationMs / 1000);
    },
    jobRemoved(job, removed) {
      rows?.inc({ job: jobOf(job) }, removed.rows);
      sizeBytes?.inc({ job: jobOf(job) }, removed.sizeBytes);
    },
    jobStarted: (job, lagMs) => lag.set({ job: jobOf(job) }, lagMs / 1000),
    jobInterval: (job, intervalMs) => interval.set({ job: jobOf(job) }, intervalMs / 1000),
    jobLastSucceeded: (job, atMs) => lastSuccess.set({ job: jobOf(job) }, atMs / 1000),
  };
}
