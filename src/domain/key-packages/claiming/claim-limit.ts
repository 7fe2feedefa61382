import type { Caller } from '#domain/caller.ts';

/** Limits how fast a person's one-time key packages are handed out, both to each caller and to all callers together. */
export interface ClaimLimit {
  /** Charges one claim, unless the limit is exhausted. @returns false when the limit is exhausted. */
  take(caller: Caller, ownerDid: string): Promise<boolean> | boolean;
  /** Refunds the charge of a claim that handed out no one-time package. */
  refund(caller: Caller, ownerDid: string): Promise<void> | void;
}

/**
 * Charges one claim for each owner except the caller, and passes the owners whose limit is exhausted to `claim`. Owners
 * who are not in `charged` of the result get a refund, because none of their one-time packages was handed out.
 */
export async function claimWithinLimit<Claimed extends { readonly charged: ReadonlySet<string> }>(
  limit: ClaimLimit,
  caller: Caller,
  ownerDids: readonly string[],
  claim: (exhausted: ReadonlySet<string>) => Promise<Claimed>,
): Promise<Claimed> {
  const others = ownerDids.filter((did) => did !== caller.did);
  const taken = await Promise.all(others.map(async (did) => limit.take(caller, did)));
  const exhausted = new Set(others.filter((_did, index) => taken[index] === false));
  let charged: ReadonlySet<string> = new Set();
  try {
    const claimed = await claim(exhausted);
    charged = claimed.charged;
    return claimed;
  } finally {
    const unused = others.filter((did) => !exhausted.has(did) && !charged.has(did));
    await Promise.all(unused.map(async (did) => limit.refund(caller, did)));
  }
}
