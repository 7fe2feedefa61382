import { DidResolverCommon } from '@atproto-labs/did-resolver';
import { FetchResponseError, safeFetchWrap } from '@atproto-labs/fetch-node';
import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import { createFetchGate } from './fetch-gate.ts';
import { identityError, isIdentityError } from './identity-error.ts';
import type { VerificationMethod } from './signing-key.ts';

/**
 * Fetches the verification methods of a DID's document from the network, without any cache.
 * @throws AppError DidUnsupported, DidNotFound (a definite answer), IdentityUnavailable (no answer).
 */
export type FetchDidDocument = (did: string) => Promise<readonly VerificationMethod[]>;

export interface FetchDidDocumentDeps {
  readonly clock: Clock;
  /** Base URL of the did:plc directory. */
  readonly plcUrl: string;
  readonly network: IdentityNetwork;
  /** For one document, from connect to its last byte. */
  readonly timeoutMs: number;
}

const documentSizeBytesMax = 64 * 1024;
/** Each method has turns of its own, so that slow did:web hosts cannot hold up did:plc. */
const fetchesPerMethodMax = 16;
const waitingPerMethodMax = 256;

export function createFetchDidDocument(deps: FetchDidDocumentDeps): FetchDidDocument {
  const resolver = new DidResolverCommon({ fetch: guardedFetch(deps), plcDirectoryUrl: deps.plcUrl });
  const limits = { runningMax: fetchesPerMethodMax, waitingMax: waitingPerMethodMax, waitMsMax: deps.timeoutMs };
  const gates = { plc: createFetchGate(deps.clock, limits), web: createFetchGate(deps.clock, limits) };
  return async (did) => {
    const method = resolvableMethod(did, deps.network);
    if (method === undefined) throw identityError('DidUnsupported');
    try {
      const document = await gates[method].run(() => resolver.resolve(did as `did:${typeof method}:${string}`));
      return document.verificationMethod ?? [];
    } catch (error) {
      // The cause stays behind: its text names the DID.
      if (isIdentityError(error)) throw identityError(error.code);
      throw identityError(isDefinite(error) ? 'DidNotFound' : 'IdentityUnavailable');
    }
  };
}

/**
 * The SSRF guard: https on its own port, to a public unicast address that is checked when the connection is made. The
 * resolver adds `redirect: 'error'`. The private network keeps the limits of size and time.
 */
function guardedFetch(deps: FetchDidDocumentDeps): typeof globalThis.fetch {
  const limits = { responseMaxSize: documentSizeBytesMax, timeout: deps.timeoutMs };
  return deps.network === 'private'
    ? safeFetchWrap({ ...limits, ssrfProtection: false })
    : safeFetchWrap({ ...limits, ssrfProtection: true, allowIpHost: false });
}

const tryLaterStatuses = new Set([408, 425, 429]);

/** Whether somebody answered, and the answer was no: asking again soon would not help. */
function isDefinite(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === 'did-document-id-mismatch' || error.code === 'did-document-format-error') return true;
  const { cause } = error;
  if (!(cause instanceof FetchResponseError)) return false;
  // A body that broke off is no answer; one that came whole and is no JSON is.
  if (cause.cause !== undefined && !(cause.cause instanceof SyntaxError)) return false;
  return cause.response.status < 500 && !tryLaterStatuses.has(cause.response.status);
}
