import type { Outcome } from '../load/latencies.ts';
import type { Side } from '../load/side.ts';

/** One kind of load. A run measures each workload in several rounds, on one server or on two in turn. */
export interface Workload {
  /** The name of the figures and of `--only`. */
  readonly name: string;
  /** One line of the report. */
  readonly title: string;
  /** What one operation is, such as `send`. */
  readonly unit: string;
  /** True for work without the service, which is measured on this tree's side only. */
  readonly isReference?: boolean;
  /** Prepares one round, which is not measured. */
  prepare(side: Side): Promise<Round>;
}

export interface Round {
  /** Runs the measured part. */
  run(): Promise<Outcome>;
  /** Releases what `prepare` opened. */
  close?(): void;
}
