import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { BucketNamer } from './keyed-bucket-names.ts';
import { quotas, windowSecondsOf } from '../table/quotas.ts';
import type { QuotaName } from '../table/quotas.ts';

const dayMs = 86_400_000;
/**
 * The largest difference of server clocks, in milliseconds, at which all servers count a caller in one bucket around
 * midnight (UTC).
 */
const clockDifferenceMsMax = 60_000;

/**
 * Creates a function that names buckets by a keyed HMAC for each UTC day, so that all servers with the same key ring
 * compute the same names. Around midnight it also returns the name of the next or the previous day, because server
 * clocks differ and earlier charges still count.
 */
export function createSharedBucketNames(privacy: Privacy, clock: Clock): BucketNamer {
  const nameOn = (day: number, quota: QuotaName, subject: string): string =>
    // The name includes the width of the window, because a row with slots of another width would be misread.
    privacy.pseudonym('quota', [day, quota, windowSecondsOf(quotas[quota])], subject).toString('hex');
  function partOfDay(quota: QuotaName): { day: number; isAfterMidnight: boolean; isBeforeMidnight: boolean } {
    const nowMs = clock.nowMs();
    const day = Math.floor(nowMs / dayMs);
    const sinceMs = nowMs - day * dayMs;
    // A charge counts for up to a sixtieth longer than its window, because charges are counted in slots.
    const overlapMs = clockDifferenceMsMax + (windowSecondsOf(quotas[quota]) * 1000 * 61) / 60;
    return { day, isAfterMidnight: sinceMs < overlapMs, isBeforeMidnight: sinceMs >= dayMs - clockDifferenceMsMax };
  }

  return {
    nameOf(quota, subject) {
      const { day, isAfterMidnight, isBeforeMidnight } = partOfDay(quota);
      const current = nameOn(day, quota, subject);
      const previous = isAfterMidnight ? nameOn(day - 1, quota, subject) : undefined;
      return isBeforeMidnight ? { current, previous, next: nameOn(day + 1, quota, subject) } : { current, previous };
    },
    generationOf(quota) {
      const { day, isAfterMidnight, isBeforeMidnight } = partOfDay(quota);
      return 3 * day + (isAfterMidnight ? 0 : isBeforeMidnight ? 2 : 1);
    },
  };
}
