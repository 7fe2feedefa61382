/** The measured operations of one round. */
export interface Outcome {
  readonly operations: number;
  readonly seconds: number;
  /** Milliseconds of each operation, or empty when single operations have no latency. */
  readonly latenciesMs: readonly number[];
}

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Returns the median and the 99th percentile; 0 for no values. */
export function percentiles(valuesMs: readonly number[]): Percentiles {
  const sorted = [...valuesMs].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
