import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { NameBucket } from './bucket-names.ts';
import { quotas, windowSecondsOf } from '../table/quotas.ts';
import type { QuotaName } from '../table/quotas.ts';

const dayMs = 86_400_000;
/** Servers whose clocks are further apart than this may count a caller twice around midnight (UTC). */
const clockDifferenceMsMax = 60_000;

/**
 * Names buckets so that every server with the same key ring finds them: an HMAC that matches only on one UTC day. Servers do
 * not change the day at the same moment. So shortly before midnight the next day's name is given too, and counts if a server
 * that is ahead has made it; and after midnight the former one is, until nothing charged under it counts any more.
 */
export function createSharedBucketNames(privacy: Privacy, clock: Clock): NameBucket {
  const nameOn = (day: number, quota: QuotaName, whose: string): string =>
    // A changed width makes other slots: such a row would be misread.
    privacy.pseudonym('quota', [day, quota, windowSecondsOf(quotas[quota])], whose).toString('hex');
  return (quota, whose) => {
    const nowMs = clock.nowMs();
    const day = Math.floor(nowMs / dayMs);
    const sinceMs = nowMs - day * dayMs;
    // A slot counts for up to a sixtieth longer than its window.
    const overlapMs = clockDifferenceMsMax + (windowSecondsOf(quotas[quota]) * 1000 * 61) / 60;
    const current = nameOn(day, quota, whose);
    const former = sinceMs < overlapMs ? nameOn(day - 1, quota, whose) : undefined;
    const isEvening = sinceMs >= dayMs - clockDifferenceMsMax;
    return isEvening ? { current, former, next: nameOn(day + 1, quota, whose) } : { current, former };
  };
}
