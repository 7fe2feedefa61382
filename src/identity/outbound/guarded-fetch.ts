import type * as fetchNode from '@atproto-labs/fetch-node';
import type { IdentityNetwork } from '../did-documents/did.ts';

export interface GuardedFetchLimits {
  readonly network: IdentityNetwork;
  readonly responseSizeBytesMax: number;
  /** For one answer, from connect to its last byte. */
  readonly timeoutMs: number;
}

/** Fetches in progress, by what is fetched; each kind has turns of its own, so that none holds up another. 32 in all. */
export const fetchesAtOnceMax = { plcDocuments: 16, webDocuments: 8, records: 8 } as const;

/**
 * The SSRF guard: https on its own port, to a public unicast address that is checked when the connection is made, uncompressed.
 * Callers must say what happens to redirects. The private network keeps the limits of size and time.
 */
export function createGuardedFetch(limits: GuardedFetchLimits): typeof globalThis.fetch {
  const { network, responseSizeBytesMax: responseMaxSize, timeoutMs: timeout } = limits;
  const limited = { fetch: fetchUncompressed, responseMaxSize, timeout };
  let guarded: Promise<typeof globalThis.fetch> | undefined;
  const open = async (): Promise<typeof globalThis.fetch> => {
    const { safeFetchWrap } = await loadGuard();
    return network === 'private'
      ? safeFetchWrap({ ...limited, ssrfProtection: false })
      : safeFetchWrap({ ...limited, ssrfProtection: true, allowIpHost: false });
  };
  return async (...request) => (await (guarded ??= open()))(...request);
}

/** It brings three releases of undici with it, a third of all that a server loads: it starts without. */
export function loadGuard(): Promise<typeof fetchNode> {
  return import('@atproto-labs/fetch-node');
}

/** 172 bytes of brotli hold 100 MiB, so what was not asked for is not unpacked. */
async function fetchUncompressed(input: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  headers.set('accept-encoding', 'identity');
  const response = await fetch(input, { ...init, headers });
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  if (encoding === 'identity') return response;
  await response.body?.cancel();
  throw new TypeError('the answer is compressed');
}
