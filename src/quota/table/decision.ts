/** The result of one charge of a quota, in the terms of the `RateLimit-*` headers. */
export interface Decision {
  readonly allowed: boolean;
  /** The row of the quota table; a refusal contains it. */
  readonly name: string;
  /** The maximum in any window. */
  readonly limit: number;
  /** The unit that is counted, in the plural. */
  readonly unit: string;
  /** How much may still be charged at once. */
  readonly remaining: number;
  readonly windowSeconds: number;
  /** Unix time at which the whole limit is available again if nothing else is charged. */
  readonly resetAtSeconds: number;
  /** Whole seconds until the same charge passes if nothing else is charged; 0 when allowed. */
  readonly retryAfterSeconds: number;
}

/** A value, or a promise of it from a store that servers share. */
export type Awaitable<T> = T | Promise<T>;
