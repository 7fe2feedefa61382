import type { Queue, Worker } from 'bullmq';

/** The storage of BullMQ's queue: its two classes with their connection. */
export interface QueueBackend {
  openQueue(name: string): Queue;
  openWorker(name: string, process: ProcessJob, options: WorkerLimits): Worker;
  /** Call it after queue and worker are closed. */
  close(): Promise<void>;
}

/** The used part of a BullMQ job, which has no data. */
export interface QueuedJob {
  readonly name: string;
  moveToDelayed(atMs: number, token?: string): Promise<void>;
}

export type ProcessJob = (job: QueuedJob, token?: string) => Promise<void>;

export interface WorkerLimits {
  readonly autorun: boolean;
  readonly concurrency: number;
  /** A worker renews its lock on a running job twice in this time. */
  readonly lockDuration: number;
  /** How often stalled jobs of other workers are checked, in milliseconds. */
  readonly stalledInterval: number;
  /** How often a job may lose its worker before it counts as failed. */
  readonly maxStalledCount: number;
}
