import { domainError } from '#domain/domain-error.ts';
import type { Clock } from '#platform/clock.ts';

/** Room for one stream of an account: taken before anything is awaited, held by the stream that opens. */
export interface StreamSlot {
  /** The stream is open. False when it took so long that the place has gone to another: the stream has to end. */
  hold(): boolean;
  /** The stream is gone, or will not open. */
  release(): void;
}

export interface StreamSlots {
  /** @throws AppError TooManyConnections. */
  take(did: string): StreamSlot;
  /** Places taken, held or not. */
  readonly size: number;
}

/** Longer than any handshake takes whose client is still there. */
const openingTimeoutMs = 30_000;

/**
 * Places for at most `perAccountMax` streams of each account on this server. Checking and taking are one step, so that
 * requests that arrive together cannot all find room; a handshake that nobody finishes loses its place after half a minute.
 */
export function createStreamSlots(deps: { readonly clock: Clock; readonly perAccountMax: number }): StreamSlots {
  const byAccount = new Map<string, Set<StreamSlot>>();
  /** In the order of time, each with the moment at which its place is free again. */
  const opening = new Map<StreamSlot, { readonly did: string; readonly untilMs: number }>();

  function drop(did: string, place: StreamSlot): void {
    opening.delete(place);
    const places = byAccount.get(did);
    places?.delete(place);
    if (places?.size === 0) byAccount.delete(did);
  }

  function add(did: string, place: StreamSlot): boolean {
    const places = byAccount.get(did) ?? new Set();
    if (places.size >= deps.perAccountMax && !places.has(place)) return false;
    byAccount.set(did, places.add(place));
    return true;
  }

  function dropAbandoned(): void {
    for (const [place, { did, untilMs }] of opening) {
      if (untilMs > deps.clock.monotonicMs()) return;
      drop(did, place);
    }
  }

  return {
    take(did) {
      dropAbandoned();
      const place: StreamSlot = {
        hold: () => add(did, place) && (opening.delete(place), true),
        release: () => drop(did, place),
      };
      if (!add(did, place)) throw domainError('TooManyConnections');
      opening.set(place, { did, untilMs: deps.clock.monotonicMs() + openingTimeoutMs });
      return place;
    },
    get size() {
      return [...byAccount.values()].reduce((sum, places) => sum + places.size, 0);
    },
  };
}
