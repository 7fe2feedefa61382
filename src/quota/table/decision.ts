/** What one charge of a quota came to, in the terms of the `RateLimit-*` headers. */
export interface Decision {
  readonly allowed: boolean;
  /** The row of the quota table; a refusal names it to the caller. */
  readonly name: string;
  /** What may come in any window. */
  readonly limit: number;
  /** What is counted, in the plural. */
  readonly unit: string;
  /** How much may still come at once. */
  readonly remaining: number;
  readonly windowSeconds: number;
  /** Unix time at which the whole limit is free again if nothing else comes. */
  readonly resetAtSeconds: number;
  /** Whole seconds until the same charge passes if nothing else comes; 0 when allowed. */
  readonly retryAfterSeconds: number;
}

/** A value now, or later from a store that is shared between servers. */
export type Awaitable<T> = T | Promise<T>;
