import type { Clock } from '#platform/clock.ts';
import { createLruMap } from '../lru-map.ts';
import type { LruMap } from '../lru-map.ts';

/** The keyed name of a client's address. While the key of the names changes, an address has two. */
export interface AddressName {
  readonly current: string;
  readonly former?: string | undefined;
}

/**
 * What an address has shown. `owner`: it has proven the DID in question within a day. `proven`: it has proven some DID within an hour.
 * `unproven`: neither.
 */
export type ProofLevel = 'owner' | 'proven' | 'unproven';

/** The best comes first. */
export const proofLevels: readonly ProofLevel[] = ['owner', 'proven', 'unproven'];

/** Remembers in memory which addresses have proven which DIDs, so that what their owners need is not spent by others. */
export interface AuthenticatedAddresses {
  /** Without an address it is the service itself that asks, or a client whom the operator lists: `owner`. */
  proofLevelOf(address: AddressName | undefined, did: string): ProofLevel;
  noteProof(address: AddressName | undefined, did: string): void;
}

const ownerMs = 24 * 3_600_000;
const provenMs = 3_600_000;

/** Keeps `entriesMax` pairs of address and DID, and as many addresses; those used last stay. */
export function createAuthenticatedAddresses(deps: {
  readonly clock: Clock;
  readonly entriesMax: number;
}): AuthenticatedAddresses {
  const pairs = createLruMap<string, number>(deps.entriesMax);
  const addresses = createLruMap<string, number>(deps.entriesMax);
  const isKnown = (map: LruMap<string, number>, names: readonly string[], forMs: number): boolean =>
    names.some((name) => deps.clock.monotonicMs() - (map.peek(name) ?? Number.NEGATIVE_INFINITY) < forMs);
  return {
    proofLevelOf(address, did) {
      if (address === undefined) return 'owner';
      const names = address.former === undefined ? [address.current] : [address.current, address.former];
      const ownPairs = names.map((name) => pairName(name, did));
      if (isKnown(pairs, ownPairs, ownerMs)) return 'owner';
      return isKnown(addresses, names, provenMs) ? 'proven' : 'unproven';
    },
    noteProof(address, did) {
      if (address === undefined) return;
      const nowMs = deps.clock.monotonicMs();
      pairs.set(pairName(address.current, did), nowMs);
      addresses.set(address.current, nowMs);
    },
  };
}

function pairName(name: string, did: string): string {
  return `${name} ${did}`;
}
