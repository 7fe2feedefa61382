import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { NameBucket } from './keyed-bucket-names.ts';
import { quotas, windowSecondsOf } from '../table/quotas.ts';
import type { QuotaName } from '../table/quotas.ts';

const dayMs = 86_400_000;
/** Servers whose clocks differ by more than this may count a caller twice around midnight (UTC). */
const clockDifferenceMsMax = 60_000;

/**
 * Names buckets so that every server with the same key ring computes the same names: an HMAC that differs for each UTC
 * day. Servers do not change the day at the same moment. Shortly before midnight the next day's name is returned too,
 * and counts if a server with a faster clock has created it. After midnight the previous day's name is returned until
 * no charge under it counts.
 */
export function createSharedBucketNames(privacy: Privacy, clock: Clock): NameBucket {
  const nameOn = (day: number, quota: QuotaName, subject: string): string =>
    // A changed window width changes the slots, so a row of the old width would be misread.
    privacy.pseudonym('quota', [day, quota, windowSecondsOf(quotas[quota])], subject).toString('hex');
  return (quota, subject) => {
    const nowMs = clock.nowMs();
    const day = Math.floor(nowMs / dayMs);
    const sinceMs = nowMs - day * dayMs;
    // A slot counts for up to a sixtieth longer than its window.
    const overlapMs = clockDifferenceMsMax + (windowSecondsOf(quotas[quota]) * 1000 * 61) / 60;
    const current = nameOn(day, quota, subject);
    const previous = sinceMs < overlapMs ? nameOn(day - 1, quota, subject) : undefined;
    const isBeforeMidnight = sinceMs >= dayMs - clockDifferenceMsMax;
    return isBeforeMidnight ? { current, previous, next: nameOn(day + 1, quota, subject) } : { current, previous };
  };
}
