import { registerHooks } from 'node:module';
import type * as fetchNode from '@atproto-labs/fetch-node';
import type { IdentityNetwork } from '../did-documents/did.ts';

export interface GuardedFetchLimits {
  readonly network: IdentityNetwork;
  readonly responseSizeBytesMax: number;
  /** Milliseconds for one response, from the connection to the last byte. */
  readonly timeoutMs: number;
}

/**
 * Limits of concurrent fetches, 32 in all. Each kind has a separate limit, so that slow servers of one kind do not
 * delay another kind.
 */
export const fetchesAtOnceMax = { plcDocuments: 16, webDocuments: 8, records: 8 } as const;

/**
 * Returns a `fetch` that protects against server-side request forgery. It uses only https on port 443, connects only to
 * public unicast addresses, which it checks when it connects, and refuses compressed responses. With `network:
 * 'private'` it allows other schemes, ports and addresses. Callers must set `redirect`.
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

/** Stands in for a release of undici that this release of Node does not use. The package never creates its agent. */
const unusedUndici =
  'data:text/javascript,export class Agent { constructor() { throw new Error("not the undici of this Node") } }';

/**
 * Loads the package on first use. It imports three releases of undici and uses the one that Node contains; the other two
 * are left out, because they are 2 MB of source.
 */
export async function loadFetchGuard(): Promise<typeof fetchNode> {
  const used = `undici_v${process.versions['undici']?.split('.')[0] ?? ''}`;
  const hooks = registerHooks({
    resolve: (specifier, context, nextResolve) =>
      /^undici_v\d+$/.test(specifier) && specifier !== used
        ? { url: unusedUndici, format: 'module', shortCircuit: true }
        : nextResolve(specifier, context),
  });
  try {
    return await import('@atproto-labs/fetch-node');
  } finally {
    hooks.deregister();
  }
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
