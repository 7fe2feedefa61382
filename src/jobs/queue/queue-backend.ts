import type { Queue, Worker } from 'bullmq';

/** Where BullMQ keeps its queue: its two classes, and what they are given to reach it. */
export interface QueueBackend {
  openQueue(name: string): Queue;
  openWorker(name: string, process: ProcessJob, options: WorkerLimits): Worker;
  /** After queue and worker were closed. */
  close(): Promise<void>;
}

/** What of a BullMQ job is looked at: it has no data. */
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
  /** How often the locks of others are looked at. */
  readonly stalledInterval: number;
  /** How often a job may lose its worker before it counts as failed. */
  readonly maxStalledCount: number;
}
