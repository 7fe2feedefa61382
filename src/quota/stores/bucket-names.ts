import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Quota, QuotaName } from '../table/quotas.ts';
import { quotas, windowSecondsOf } from '../table/quotas.ts';
import type { BucketNames } from './quota-store.ts';

/** Names the bucket of one row of the table and one address, account or conversation. */
export type NameBucket = (quota: QuotaName, whose: string) => BucketNames;

const saltLifetimeMs = 86_400_000;
/** Two of the widest windows: by then nothing counts that was charged under the old salt. */
const windowsOverlapMs = 2000 * Math.max(...Object.values<Quota>(quotas).map(windowSecondsOf));
const saltSizeBytes = 32;

/**
 * Names buckets after an address or a DID without keeping either: an HMAC under a random salt that lives in this process
 * for one day and is never written down. For two of the widest windows (or `overlapMs`) after a change the former name is given too, so that a
 * change of salt refills nobody's quota.
 */
export function createBucketNames(
  clock: Clock,
  { overlapMs = windowsOverlapMs }: { readonly overlapMs?: number } = {},
): NameBucket {
  let salt = newSalt();
  let formerSalt: KeyObject | undefined;
  let changedAtMs = clock.monotonicMs();
  return (quota, whose) => {
    const ageMs = clock.monotonicMs() - changedAtMs;
    if (ageMs >= saltLifetimeMs) {
      formerSalt = salt;
      salt = newSalt();
      changedAtMs = clock.monotonicMs();
    } else if (formerSalt !== undefined && ageMs >= overlapMs) {
      formerSalt = undefined;
    }
    return {
      current: nameUnder(salt, quota, whose),
      former: formerSalt === undefined ? undefined : nameUnder(formerSalt, quota, whose),
    };
  };
}

function newSalt(): KeyObject {
  return createSecretKey(newSecret(saltSizeBytes));
}

function nameUnder(salt: KeyObject, quota: QuotaName, whose: string): string {
  return createHmac('sha256', salt).update(`${quota}\0${whose}`).digest('hex').slice(0, 32);
}
