import { domainError } from '#domain/domain-error.ts';
import type { Clock } from '#platform/clock.ts';

/** A slot for one stream of an account, taken before the handshake and kept by the open stream. */
export interface StreamSlot {
  /**
   * Keeps the slot for an open stream. Returns false if the handshake took so long that another stream has the slot,
   * and then the stream must end.
   */
  keep(): boolean;
  /** Frees the slot of a stream that has ended or will not open. */
  release(): void;
}

export interface StreamSlots {
  /**
   * Takes a slot of the account.
   * @throws AppError TooManyConnections when all slots are taken.
   */
  take(did: string): StreamSlot;
  /** Number of taken slots, including those of unfinished handshakes. */
  readonly size: number;
}

/**
 * Milliseconds until the slot of an unfinished handshake is freed, which is longer than the handshake of a connected
 * client.
 */
const openingTimeoutMs = 30_000;

/**
 * Creates slots for at most `perAccountMax` streams of each account on this server. `take` checks and takes in one
 * step, so that concurrent requests cannot exceed the limit. The slot of an unfinished handshake is freed after 30
 * seconds.
 */
export function createStreamSlots(deps: { readonly clock: Clock; readonly perAccountMax: number }): StreamSlots {
  const byAccount = new Map<string, Set<StreamSlot>>();
  /** The slots of unfinished handshakes in the order of time, each with the time at which it is freed. */
  const opening = new Map<StreamSlot, { readonly did: string; readonly untilMs: number }>();

  function drop(did: string, slot: StreamSlot): void {
    opening.delete(slot);
    const slots = byAccount.get(did);
    slots?.delete(slot);
    if (slots?.size === 0) byAccount.delete(did);
  }

  function add(did: string, slot: StreamSlot): boolean {
    const slots = byAccount.get(did) ?? new Set();
    if (slots.size >= deps.perAccountMax && !slots.has(slot)) return false;
    byAccount.set(did, slots.add(slot));
    return true;
  }

  function dropExpired(): void {
    for (const [slot, { did, untilMs }] of opening) {
      if (untilMs > deps.clock.monotonicMs()) return;
      drop(did, slot);
    }
  }

  return {
    take(did) {
      dropExpired();
      const slot: StreamSlot = {
        keep: () => add(did, slot) && (opening.delete(slot), true),
        release: () => drop(did, slot),
      };
      if (!add(did, slot)) throw domainError('TooManyConnections');
      opening.set(slot, { did, untilMs: deps.clock.monotonicMs() + openingTimeoutMs });
      return slot;
    },
    get size() {
      return [...byAccount.values()].reduce((sum, slots) => sum + slots.size, 0);
    },
  };
}
