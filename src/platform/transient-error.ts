/**
 * Classes and codes of SQLSTATE (Postgres, appendix A) by which the database says "not now": connection lost, transaction
 * to be repeated, out of connections, memory or disk, waited too long, cut short, restarting, its storage failing.
 */
const transientStates = /^(08|40|53|58)...$|^(55P03|57014|57P0[1-5])$/;

/** Codes of Node and postgres.js for a connection that could not be made or did not last. */
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

/** A standby that took over refuses writes, until the servers are led to the new primary. */
const readOnlyState = '25006';

/**
 * Whether the same request may succeed in a moment: the database is away, busy, or gave up on a lock. Whatever was under
 * way is either not stored or, if the connection broke after the commit, stored once; requests may be repeated.
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
