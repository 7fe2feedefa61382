import type { Clock } from '#platform/clock.ts';
import { canonicalAddress, hostPrefixOf } from '#quota/client-address/ip-address.ts';
import { createBucketNames } from '#quota/stores/keyed-bucket-names.ts';

export interface ConnectionLimits {
  /** The maximum number of open connections of one IPv4 address or IPv6 /64, which may all be opened at once. */
  readonly perAddressMax: number;
  /** New connections per second of one IPv4 address or IPv6 /64, after an initial burst of `perAddressMax`. */
  readonly perSecondMax: number;
  /** The maximum number of address prefixes in memory. */
  readonly prefixesMax: number;
}

export interface ConnectionLimiterDeps {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /**
   * Returns whether the connections of a canonical address are not limited, for example because a proxy for many
   * clients has this address.
   */
  readonly isExempt: (address: string) => boolean;
}

export interface ConnectionLimiter {
  /**
   * Counts a new connection.
   * @returns a function to call when the connection closes, or undefined when the connection is over the limit.
   */
  open(remoteAddress: string | undefined): (() => void) | undefined;
  prefixCount(): number;
}

interface PrefixState {
  openCount: number;
  /** GCRA's theoretical arrival time of the next connection, on the monotonic clock. */
  dueAtMs: number;
}

const sweepIntervalMs = 1_000;
const refused = undefined;
const notCounted = (): void => undefined;

/**
 * Creates a limiter that checks connections when they arrive, before TLS or HTTP. Address prefixes are in memory only,
 * as HMACs, and a new prefix is refused while `prefixesMax` prefixes are in use.
 */
export function createConnectionLimiter(deps: ConnectionLimiterDeps): ConnectionLimiter {
  const { clock, limits } = deps;
  const namer = createBucketNames(clock);
  const states = new Map<string, PrefixState>();
  const intervalMs = 1000 / limits.perSecondMax;
  let sweptAtMs = -Infinity;
  const toleranceMs = (limits.perAddressMax - 1) * intervalMs;

  function stateOf(address: string): PrefixState | undefined {
    const { current, previous } = namer.nameOf('address', hostPrefixOf(address));
    const known = states.get(current) ?? states.get(previous ?? '');
    if (known !== undefined) {
      if (previous !== undefined) states.delete(previous);
      states.set(current, known);
      return known;
    }
    if (states.size >= limits.prefixesMax) sweep();
    if (states.size >= limits.prefixesMax) return undefined;
    const state = { openCount: 0, dueAtMs: clock.monotonicMs() };
    states.set(current, state);
    return state;
  }

  /** Removes the prefixes that have no open connection and could open the whole burst again. */
  function sweep(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - sweptAtMs < sweepIntervalMs) return;
    sweptAtMs = nowMs;
    for (const [name, { openCount, dueAtMs }] of states) {
      if (openCount === 0 && dueAtMs <= nowMs) states.delete(name);
    }
  }

  return {
    open(remoteAddress) {
      const address = canonicalAddress(remoteAddress?.replace(/%.*$/, '') ?? '');
      if (address === undefined) return refused;
      if (deps.isExempt(address)) return notCounted;
      const state = stateOf(address);
      const nowMs = clock.monotonicMs();
      if (state === undefined || state.openCount >= limits.perAddressMax) return refused;
      if (state.dueAtMs - toleranceMs > nowMs) return refused;
      state.openCount += 1;
      state.dueAtMs = Math.max(nowMs, state.dueAtMs) + intervalMs;
      return () => void (state.openCount -= 1);
    },
    prefixCount: () => states.size,
  };
}
