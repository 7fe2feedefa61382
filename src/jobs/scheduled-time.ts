import { CronExpressionParser } from 'cron-parser';

/** The last time at or before `nowMs` that `pattern` (cron, UTC, also with seconds) names: every worker finds the same one. */
export function scheduledTime(pattern: string, nowMs: number): Date {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs + 1), tz: 'UTC' })
    .prev()
    .toDate();
}

/** The next time after `nowMs` that `pattern` names. */
export function nextTimeMs(pattern: string, nowMs: number): number {
  return CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' })
    .next()
    .getTime();
}

/** The time between two turns of `pattern` after `nowMs`. */
export function intervalMs(pattern: string, nowMs: number): number {
  const cron = CronExpressionParser.parse(pattern, { currentDate: new Date(nowMs), tz: 'UTC' });
  const firstMs = cron.next().getTime();
  return cron.next().getTime() - firstMs;
}
