import type { Clock } from '#platform/clock.ts';
import type { AddressPseudonym, ProofLevel } from './authenticated-addresses.ts';
import { createLruMap } from '../lru-map.ts';

/** Limits the document fetches that a wrong signature causes, because any client can cause them with a forged token. */
export interface RefreshBudget {
  /**
   * Takes one refresh and returns true, or returns false if a limit is reached. Without an address only the total limit
   * applies.
   */
  take(proofLevel: ProofLevel, address: AddressPseudonym | undefined): boolean;
}

const secondMs = 1_000;
/**
 * Refreshes per second for all clients together. Three of the ten are reserved for owners, and three more for owners
 * and proven addresses.
 */
const perSecondMax = { owner: 10, proven: 7, unproven: 4 } as const satisfies Record<ProofLevel, number>;

const addressWindowMs = 10_000;
const perAddressMax = { owner: 10, proven: 3, unproven: 3 } as const satisfies Record<ProofLevel, number>;
const addressesMax = 20_000;

/** Creates a budget. It stores at most 20,000 addresses, each with the times of its last refreshes, ten at most. */
export function createRefreshBudget(clock: Clock): RefreshBudget {
  let recentMs: readonly number[] = [];
  const byAddress = createLruMap<string, readonly number[]>(addressesMax);

  return {
    take(proofLevel, address) {
      const nowMs = clock.monotonicMs();
      recentMs = recentMs.filter((atMs) => nowMs - atMs < secondMs);
      if (recentMs.length >= perSecondMax[proofLevel]) return false;
      if (address !== undefined) {
        // Owners have a separate count, so that forged tokens from a shared address do not use up their refreshes.
        const key = proofLevel === 'owner' ? `owner ${address.current}` : address.current;
        const own = (byAddress.peek(key) ?? []).filter((atMs) => nowMs - atMs < addressWindowMs);
        if (own.length >= perAddressMax[proofLevel]) return false;
        byAddress.set(key, [...own, nowMs]);
      }
      recentMs = [...recentMs, nowMs];
      return true;
    },
  };
}
