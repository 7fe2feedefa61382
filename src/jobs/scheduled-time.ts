import { CronExpressionParser } from 'cron-parser';

/**
 * The last time at or before `nowMs` that matches `pattern` (cron, UTC, optionally with seconds); the same in every
 * worker.
 */
export function scheduledTime(pattern: string, nowMs: number): Date {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs + 1), tz: 'UTC' })
    .prev()
    .toDate();
}

/** The next time after `nowMs` that matches `pattern`. */
export function nextTimeMs(pattern: string, nowMs: number): number {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' })
    .next()
    .getTime();
}

/** The time in milliseconds between two runs of `pattern` after `nowMs`. */
export function intervalMs(pattern: string, nowMs: number): number {
  const cron = CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' });
  const firstMs = cron.next().getTime();
  return cron.next().getTime() - firstMs;
}
