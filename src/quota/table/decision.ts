/** The result of one charge of a quota, in the terms of the `RateLimit-*` headers. */
export interface Decision {
  readonly allowed: boolean;
  /** The name of the row in the quota table, which a refusal contains. */
  readonly name: string;
  /** The maximum number of units in any window. */
  readonly limit: number;
  /** The unit that is counted, in the plural. */
  readonly unit: string;
  /** The number of units that may still be charged at once. */
  readonly remaining: number;
  readonly windowSeconds: number;
  /** Unix time at which the whole limit is available again if nothing else is charged. */
  readonly resetAtSeconds: number;
  /** Whole seconds until the charge would be admitted if nothing else is charged; 0 when allowed. */
  readonly retryAfterSeconds: number;
}

/** A value from a store in memory, or a promise from a store that servers share. */
export type Awaitable<T> = T | Promise<T>;
