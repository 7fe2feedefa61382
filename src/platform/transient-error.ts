/**
 * The SQLSTATE classes and codes (Postgres, appendix A) of temporary failures, for example a lost connection, a
 * deadlock, a full disk, a timeout or a restart.
 */
const transientStates = /^(08|40|53|58)...$|^(55P03|57014|57P0[1-5])$/;

/** The error codes with which Node and postgres.js report a connection that could not be opened or was lost. */
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

/**
 * The SQLSTATE with which a standby refuses writes. After a failover, a server may be connected to a standby until it
 * finds the new primary.
 */
const readOnlyState = '25006';

/**
 * Returns whether `error` is a temporary failure of the database, after which the request may be repeated. The effects
 * of the failed request are not stored, unless the connection was lost after the commit.
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
