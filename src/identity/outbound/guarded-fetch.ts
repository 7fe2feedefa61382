import type * as fetchNode from '@atproto-labs/fetch-node';
import type { IdentityNetwork } from '../did-documents/did.ts';

export interface GuardedFetchLimits {
  readonly network: IdentityNetwork;
  readonly responseSizeBytesMax: number;
  /** Time for one response, from connect to the last byte. */
  readonly timeoutMs: number;
}

/** Concurrent fetches of each kind, 32 in all. Each kind has its own limit, so that slow servers of one kind do not delay another. */
export const fetchesAtOnceMax = { plcDocuments: 16, webDocuments: 8, records: 8 } as const;

/**
 * Returns a fetch with protection against server-side request forgery: https on port 443 only, to a public unicast address that is
 * checked when the connection is made, and uncompressed. Callers must set `redirect`. On the private network only the limits of size
 * and time apply.
 */
export function createGuardedFetch(limits: GuardedFetchLimits): typeof globalThis.fetch {
  const { network, responseSizeBytesMax: responseMaxSize, timeoutMs: timeout } = limits;
  const limited = { fetch: fetchUncompressed, responseMaxSize, timeout };
  let guarded: Promise<typeof globalThis.fetch> | undefined;
  const open = async (): Promise<typeof globalThis.fetch> => {
    const { safeFetchWrap } = await loadFetchGuard();
    return network === 'private'
      ? safeFetchWrap({ ...limited, ssrfProtection: false })
      : safeFetchWrap({ ...limited, ssrfProtection: true, allowIpHost: false });
  };
  return async (...request) => (await (guarded ??= open()))(...request);
}

/** Loads the package after the server has started: it contains three releases of undici, a third of all modules of a server. */
export function loadFetchGuard(): Promise<typeof fetchNode> {
  return import('@atproto-labs/fetch-node');
}

/** Refuses compressed responses, because 172 bytes of brotli can expand to 100 MiB. */
async function fetchUncompressed(input: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  headers.set('accept-encoding', 'identity');
  const response = await fetch(input, { ...init, headers });
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  if (encoding === 'identity') return response;
  await response.body?.cancel();
  throw new TypeError('the response is compressed');
}
