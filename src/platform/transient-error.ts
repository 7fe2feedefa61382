/**
 * SQLSTATE classes and codes (Postgres, appendix A) of temporary failures: connection lost, transaction to be repeated,
 * out of connections, memory or disk, timeout, statement cancelled, restart, storage failure.
 */
const transientStates = /^(08|40|53|58)...$|^(55P03|57014|57P0[1-5])$/;

/** Codes of Node and postgres.js for a connection that could not be opened or was lost. */
const transientCodes: ReadonlySet<string> = new Set([
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** A standby refuses writes; after a failover, servers may be connected to one until they find the new primary. */
const readOnlyState = '25006';

/**
 * Whether the same request may succeed shortly: the database is unavailable, overloaded, or timed out on a lock. The
 * effects of the failed request are either not stored or, if the connection was lost after the commit, stored once;
 * requests may be repeated.
 */
export function isTransientError(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof AggregateError && cause.errors.some(isTransientError)) return true;
    const code: unknown = 'code' in cause ? cause.code : undefined;
    if (typeof code !== 'string') continue;
    if (transientCodes.has(code) || transientStates.test(code) || code === readOnlyState) return true;
  }
  return false;
}
