import type { Caller } from '#domain/caller.ts';

/** Limits how fast one person's one-time key packages are handed out, by each caller and by all callers together. */
export interface ClaimLimit {
  /** Charges one claim; false when there is no room, and then nothing is charged. */
  take(caller: Caller, ownerDid: string): Promise<boolean> | boolean;
  /** Takes back a charge for which no one-time package left the stock. */
  refund(caller: Caller, ownerDid: string): Promise<void> | void;
}

/**
 * Runs `claim` with what the budget says of each of `ownerDids`, and keeps the charge only of those whom it names: the owners
 * of packages that have left the stock. Packages of the caller's own devices are free.
 */
export async function claimWithinLimit<Claimed extends { readonly drained: ReadonlySet<string> }>(
  budget: ClaimLimit,
  caller: Caller,
  ownerDids: readonly string[],
  claim: (spent: ReadonlySet<string>) => Promise<Claimed>,
): Promise<Claimed> {
  const others = ownerDids.filter((did) => did !== caller.did);
  const taken = await Promise.all(others.map(async (did) => budget.take(caller, did)));
  const spent = new Set(others.filter((_did, index) => taken[index] === false));
  let drained: ReadonlySet<string> = new Set();
  try {
    const claimed = await claim(spent);
    drained = claimed.drained;
    return claimed;
  } finally {
    const unused = others.filter((did) => !spent.has(did) && !drained.has(did));
    await Promise.all(unused.map(async (did) => budget.refund(caller, did)));
  }
}
