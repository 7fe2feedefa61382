import type { Clock } from '#platform/clock.ts';
import { createLruMap } from '../lru-map.ts';
import type { LruMap } from '../lru-map.ts';

/**
 * A client address as an HMAC under a key that changes. For a while after each change, `previous` is the HMAC under the
 * earlier key.
 */
export interface AddressPseudonym {
  readonly current: string;
  readonly previous: string | undefined;
}

/**
 * How recently a client address has authenticated. `owner` means as the requested DID within the last day, `proven`
 * means as any DID within the last hour, and `unproven` means neither.
 */
export type ProofLevel = 'owner' | 'proven' | 'unproven';

/** All levels, the highest first. */
export const proofLevels: readonly ProofLevel[] = ['owner', 'proven', 'unproven'];

/**
 * Stores in memory which addresses have authenticated as which DIDs, so that forged tokens cannot use up the fetches of
 * a DID's owner.
 */
export interface AuthenticatedAddresses {
  /**
   * Returns the level of `address` for `did`. An undefined address gives `owner`, because then the request is from the
   * service or from a client on the operator's allow list.
   */
  proofLevelOf(address: AddressPseudonym | undefined, did: string): ProofLevel;
  noteProof(address: AddressPseudonym | undefined, did: string): void;
}

const ownerMs = 24 * 3_600_000;
const provenMs = 3_600_000;
/** A proof that is younger than this is not noted again, because every request has one. */
const provenAgainMs = 10_000;

/**
 * Stores at most `entriesMax` pairs of address and DID and as many addresses. Drops those that authenticated longest
 * ago.
 */
export function createAuthenticatedAddresses(deps: {
  readonly clock: Clock;
  readonly entriesMax: number;
}): AuthenticatedAddresses {
  const pairs = createLruMap<string, number>(deps.entriesMax);
  const addresses = createLruMap<string, number>(deps.entriesMax);
  const wasNoted = (map: LruMap<string, number>, keys: readonly string[], withinMs: number): boolean =>
    keys.some((key) => deps.clock.monotonicMs() - (map.peek(key) ?? Number.NEGATIVE_INFINITY) < withinMs);
  return {
    proofLevelOf(address, did) {
      if (address === undefined) return 'owner';
      const pseudonyms = address.previous === undefined ? [address.current] : [address.current, address.previous];
      const ownPairs = pseudonyms.map((pseudonym) => pairKey(pseudonym, did));
      if (wasNoted(pairs, ownPairs, ownerMs)) return 'owner';
      return wasNoted(addresses, pseudonyms, provenMs) ? 'proven' : 'unproven';
    },
    noteProof(address, did) {
      if (address === undefined) return;
      const nowMs = deps.clock.monotonicMs();
      const pair = pairKey(address.current, did);
      if (nowMs - (pairs.peek(pair) ?? Number.NEGATIVE_INFINITY) < provenAgainMs) return;
      pairs.set(pair, nowMs);
      addresses.set(address.current, nowMs);
    },
  };
}

function pairKey(pseudonym: string, did: string): string {
  return `${pseudonym} ${did}`;
}
