import { safeFetchWrap } from '@atproto-labs/fetch-node';
import type { IdentityNetwork } from './did.ts';

export interface GuardedFetchLimits {
  readonly network: IdentityNetwork;
  readonly responseSizeBytesMax: number;
  /** For one answer, from connect to its last byte. */
  readonly timeoutMs: number;
}

/**
 * The SSRF guard: https on its own port, to a public unicast address that is checked when the connection is made. Callers must
 * say what happens to redirects. The private network keeps the limits of size and time.
 */
export function createGuardedFetch(limits: GuardedFetchLimits): typeof globalThis.fetch {
  const { network, responseSizeBytesMax: responseMaxSize, timeoutMs: timeout } = limits;
  return network === 'private'
    ? safeFetchWrap({ responseMaxSize, timeout, ssrfProtection: false })
    : safeFetchWrap({ responseMaxSize, timeout, ssrfProtection: true, allowIpHost: false });
}
