import { CronExpressionParser } from 'cron-parser';

/**
 * Returns the last time at or before `nowMs` that matches `pattern` (cron in UTC, optionally with seconds). Every
 * worker computes the same time, which identifies the run.
 */
export function scheduledTime(pattern: string, nowMs: number): Date {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs + 1), tz: 'UTC' })
    .prev()
    .toDate();
}

/** Returns the next time after `nowMs` that matches `pattern`, in milliseconds since the Unix epoch. */
export function nextTimeMs(pattern: string, nowMs: number): number {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' })
    .next()
    .getTime();
}

/** Returns the milliseconds between the next two runs of `pattern` after `nowMs`. */
export function intervalMs(pattern: string, nowMs: number): number {
  const cron = CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' });
  const firstMs = cron.next().getTime();
  return cron.next().getTime() - firstMs;
}
