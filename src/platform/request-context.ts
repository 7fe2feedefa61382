import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * What code that runs for a request gets from the async context. The parts share one store, because Node copies every
 * store of the context for each `run`.
 */
export interface RequestContext {
  /** Limits the waits for the database of one request, or of several requests together. */
  readonly deadline?: RequestDeadline | undefined;
  readonly slot?: RequestSlot | undefined;
}

/** Limits the time that one request waits for the database. */
export interface RequestDeadline {
  readonly isExpired: boolean;
  /**
   * Calls `listener` once when the request has waited too long.
   * @returns a function that removes the listener.
   */
  onExpired(listener: () => void): () => void;
  /**
   * Starts a wait for the database. The time of concurrent waits counts once. Calls `onExpired` if the request has
   * waited too long before this wait ends.
   * @returns a function to call when the wait ends.
   */
  beginWait(onExpired: () => void): () => void;
}

/** The place of a request among the requests in progress. */
export interface RequestSlot {
  /** Runs a task while other requests may use the slot. */
  without<T>(task: () => Promise<T>): Promise<T>;
}

const contexts = new AsyncLocalStorage<RequestContext | undefined>();

/** Returns the context of the request for which this code runs; undefined for code without a request. */
export function currentContext(): RequestContext | undefined {
  return contexts.getStore();
}

/** Runs `task` for a request. */
export function runInContext<T>(context: RequestContext, task: () => T): T {
  return contexts.run(context, task);
}

/**
 * Runs `task` without a request, so that work for several requests does not expire with the request that started it.
 */
export function runOutsideRequest<T>(task: () => T): T {
  return contexts.run(undefined, task);
}
