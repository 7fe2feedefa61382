import type { Clock } from '#platform/clock.ts';
import type { AddressName, ProofLevel } from './authenticated-addresses.ts';
import { createLruMap } from '../lru-map.ts';

/** How many documents may be fetched at once because a signature did not fit: anyone can cause that with a junk token. */
export interface RefreshBudget {
  /** Takes one refresh, if there is room. Without an address only the refreshes of all together count. */
  take(proofLevel: ProofLevel, address: AddressName | undefined): boolean;
}

const secondMs = 1_000;
/**
 * Refreshes that may have been made within the last second for one more to be made. All together never make more than ten; what
 * addresses without a proof leave over is kept for those with one, and of that a part for the owners of the DIDs.
 */
const perSecondMax = { owner: 10, proven: 7, unproven: 4 } as const satisfies Record<ProofLevel, number>;

const addressWindowMs = 10_000;
const perAddressMax = { owner: 10, proven: 3, unproven: 3 } as const satisfies Record<ProofLevel, number>;
const addressesMax = 20_000;

/** Keeps at most 20,000 addresses with ten times each. */
export function createRefreshBudget(clock: Clock): RefreshBudget {
  let recentMs: readonly number[] = [];
  const byAddress = createLruMap<string, readonly number[]>(addressesMax);

  return {
    take(proofLevel, address) {
      const nowMs = clock.monotonicMs();
      recentMs = recentMs.filter((atMs) => nowMs - atMs < secondMs);
      if (recentMs.length >= perSecondMax[proofLevel]) return false;
      if (address !== undefined) {
        // What somebody else's junk costs from a shared address is counted apart from what the owners need.
        const name = proofLevel === 'owner' ? `owner ${address.current}` : address.current;
        const own = (byAddress.peek(name) ?? []).filter((atMs) => nowMs - atMs < addressWindowMs);
        if (own.length >= perAddressMax[proofLevel]) return false;
        byAddress.set(name, [...own, nowMs]);
      }
      recentMs = [...recentMs, nowMs];
      return true;
    },
  };
}
