import type { Clock } from '#platform/clock.ts';
import { createBucketNames } from '#quota/stores/bucket-names.ts';
import { canonicalAddress, hostPrefixOf } from '#quota/client-address/ip-address.ts';

export interface ConnectionLimits {
  /** Open ones of one IPv4 address or IPv6 /64. */
  readonly perAddressMax: number;
  /** New ones of the same in a second; as many as may be open may come at once. */
  readonly perSecondMax: number;
  /** Prefixes remembered at once. */
  readonly prefixesMax: number;
}

export interface ConnectionGateDeps {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /** Peers that carry many clients, by canonical address. */
  readonly isExempt: (address: string) => boolean;
}

export interface ConnectionGate {
  /** @returns undefined when the peer has to be turned away; else what to call when its connection ends. */
  enter(peer: string | undefined): (() => void) | undefined;
  prefixCount(): number;
}

interface AddressCharge {
  open: number;
  /** When the next connection would come at an even rate. */
  dueAtMs: number;
}

const sweepEveryMs = 1_000;
const turnedAway = undefined;
const letThrough = (): void => undefined;

/**
 * Counts connections where they arrive, before TLS or HTTP. Prefixes are HMACs under a salt that lives in memory; one is
 * forgotten when it has nothing open and its rate is restored. When none can be forgotten, newcomers are turned away.
 */
export function createConnectionGate(deps: ConnectionGateDeps): ConnectionGate {
  const { clock, limits } = deps;
  const nameOf = createBucketNames(clock);
  const visitors = new Map<string, AddressCharge>();
  const intervalMs = 1000 / limits.perSecondMax;
  let sweptAtMs = -Infinity;
  const toleranceMs = (limits.perAddressMax - 1) * intervalMs;

  function find(address: string): AddressCharge | undefined {
    const { current, former } = nameOf('address', hostPrefixOf(address));
    const known = visitors.get(current) ?? visitors.get(former ?? '');
    if (known !== undefined) {
      if (former !== undefined) visitors.delete(former);
      visitors.set(current, known);
      return known;
    }
    if (visitors.size >= limits.prefixesMax) sweep();
    if (visitors.size >= limits.prefixesMax) return undefined;
    const addressCharge = { open: 0, dueAtMs: clock.monotonicMs() };
    visitors.set(current, addressCharge);
    return addressCharge;
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - sweptAtMs < sweepEveryMs) return;
    sweptAtMs = nowMs;
    for (const [name, { open, dueAtMs }] of visitors) {
      if (open === 0 && dueAtMs <= nowMs) visitors.delete(name);
    }
  }

  return {
    enter(peer) {
      const address = canonicalAddress(peer?.replace(/%.*$/, '') ?? '');
      if (address === undefined) return turnedAway;
      if (deps.isExempt(address)) return letThrough;
      const addressCharge = find(address);
      const nowMs = clock.monotonicMs();
      if (addressCharge === undefined || addressCharge.open >= limits.perAddressMax) return turnedAway;
      if (addressCharge.dueAtMs - toleranceMs > nowMs) return turnedAway;
      addressCharge.open += 1;
      addressCharge.dueAtMs = Math.max(nowMs, addressCharge.dueAtMs) + intervalMs;
      return () => void (addressCharge.open -= 1);
    },
    prefixCount: () => visitors.size,
  };
}
