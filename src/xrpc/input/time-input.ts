import { requestError } from './request-problems.ts';

const withZone = /(Z|[+-]\d\d:?\d\d)$/;

/**
 * Milliseconds since 1970 of a datetime as clients write it, undefined for an absent one. Without a zone it counts as UTC, and
 * whatever is earlier than 1970 as 1970, because Postgres has no year 0.
 * @throws AppError InvalidRequest for ISO 8601 that the lexicon check lets through and JavaScript cannot read, such as a leap
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
