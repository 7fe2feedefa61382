import type { Queue, Worker } from 'bullmq';

/** Creates BullMQ's queue and workers on the Redis or Postgres that stores the queue. */
export interface QueueBackend {
  openQueue(name: string): Queue;
  openWorker(name: string, process: ProcessJob, options: WorkerLimits): Worker;
  /** Closes the connection. The queue and the worker must be closed first. */
  close(): Promise<void>;
}

/** The part of a BullMQ job that this project uses. */
export interface QueuedJob {
  readonly name: string;
  moveToDelayed(atMs: number, token?: string): Promise<void>;
}

export type ProcessJob = (job: QueuedJob, token?: string) => Promise<void>;

export interface WorkerLimits {
  readonly autorun: boolean;
  readonly concurrency: number;
  /** Milliseconds for which a worker locks a running job. The worker renews the lock twice in this time. */
  readonly lockDuration: number;
  /** Milliseconds between two checks for stalled jobs of other workers. */
  readonly stalledInterval: number;
  /** How many times a job may lose its worker before it counts as failed. */
  readonly maxStalledCount: number;
}
