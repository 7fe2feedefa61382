import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Quota, QuotaName } from '../table/quotas.ts';
import { quotas, windowSecondsOf } from '../table/quotas.ts';
import type { BucketNames } from './quota-store.ts';

/** Names the buckets in which quotas count addresses, accounts and conversations. */
export interface BucketNamer {
  /** Computes the names of the bucket of one subject. */
  readonly nameOf: (quota: QuotaName, subject: string) => BucketNames;
  /** Returns a number that changes whenever the names of the buckets of `quota` change. */
  readonly generationOf: (quota: QuotaName) => number;
}

const saltLifetimeMs = 86_400_000;
/** Twice the widest window, after which no charge under the old salt counts. */
const windowsOverlapMs = 2000 * Math.max(...Object.values<Quota>(quotas).map(windowSecondsOf));
const saltSizeBytes = 32;

/**
 * Creates a function that names buckets by an HMAC under a random salt, so that no address or DID is stored. The salt
 * is in memory only and changes every day; the previous name is returned too for `overlapMs` after a change (by default
 * twice the widest window), so that the change refills no quota.
 */
export function createBucketNames(
  clock: Clock,
  { overlapMs = windowsOverlapMs }: { readonly overlapMs?: number } = {},
): BucketNamer {
  let salt = newSalt();
  let previousSalt: KeyObject | undefined;
  let changedAtMs = clock.monotonicMs();
  let generation = 0;

  function changeWhenDue(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - changedAtMs >= saltLifetimeMs) {
      previousSalt = salt;
      salt = newSalt();
      changedAtMs = nowMs;
      generation += 1;
    } else if (previousSalt !== undefined && nowMs - changedAtMs >= overlapMs) {
      previousSalt = undefined;
      generation += 1;
    }
  }

  return {
    nameOf(quota, subject) {
      changeWhenDue();
      return {
        current: nameUnder(salt, quota, subject),
        previous: previousSalt === undefined ? undefined : nameUnder(previousSalt, quota, subject),
      };
    },
    generationOf() {
      changeWhenDue();
      return generation;
    },
  };
}

function newSalt(): KeyObject {
  return createSecretKey(newSecret(saltSizeBytes));
}

function nameUnder(salt: KeyObject, quota: QuotaName, subject: string): string {
  return createHmac('sha256', salt).update(`${quota}\0${subject}`).digest('hex').slice(0, 32);
}
