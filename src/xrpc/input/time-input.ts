import { requestError } from './request-problems.ts';

const withZone = /(Z|[+-]\d\d:?\d\d)$/;

/**
 * Returns a datetime in milliseconds since the Unix epoch, or undefined for an absent one. A datetime without a zone is
 * UTC, and a time before 1970 becomes 1970, because Postgres has no year 0.
 * @throws AppError InvalidRequest for ISO 8601 that the lexicon accepts and JavaScript cannot parse, for example a leap
 * second or the basic format.
 */
export function inputTimeMs(text: string): number;
export function inputTimeMs(text: string | undefined): number | undefined;
export function inputTimeMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const timeMs = Date.parse(withZone.test(text) ? text : `${text}Z`);
  if (Number.isNaN(timeMs)) throw requestError('datetimeForm');
  return Math.max(0, timeMs);
}
