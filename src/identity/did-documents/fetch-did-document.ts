import { DidResolverCommon } from '@atproto-labs/did-resolver';
import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import { createFetchLimiter } from '../outbound/fetch-limiter.ts';
import { createGuardedFetch, fetchesAtOnceMax, loadFetchGuard } from '../outbound/guarded-fetch.ts';
import { identityError, isIdentityError } from '../identity-error.ts';
import type { ProofLevel } from './authenticated-addresses.ts';
import { readPdsEndpoint } from './pds-endpoint.ts';
import type { VerificationMethod } from '../signatures/signing-key.ts';

/** The parts of a DID document that the service uses. */
export interface FetchedDocument {
  readonly verificationMethods: readonly VerificationMethod[];
  /** Origin of the person's PDS, or undefined if the document has none. */
  readonly pdsEndpoint: string | undefined;
}

/**
 * Fetches a DID's document from the network, without a cache. Fetches that wait run in the order of `proofLevel`, the
 * highest first.
 * @throws AppError DidUnsupported, DidNotFound (a definite response), IdentityUnavailable (no usable response).
 */
export type FetchDidDocument = (did: string, proofLevel?: ProofLevel) => Promise<FetchedDocument>;

export interface FetchDidDocumentDeps {
  readonly clock: Clock;
  /** Base URL of the did:plc directory. */
  readonly plcUrl: string;
  readonly network: IdentityNetwork;
  /** Milliseconds for one document, from the wait for a free slot to the last byte. */
  readonly timeoutMs: number;
  /** Returns the document of a development identity, or undefined for a DID that must be fetched. */
  readonly findDevelopmentDocument?: (did: string) => Promise<FetchedDocument | undefined>;
}

const documentSizeBytesMax = 64 * 1024;
const waitingPerMethodMax = 256;

export function createFetchDidDocument(deps: FetchDidDocumentDeps): FetchDidDocument {
  const { network, timeoutMs } = deps;
  // The resolver sets `redirect: 'error'`, which `createGuardedFetch` requires of its callers.
  const fetch = createGuardedFetch({ network, timeoutMs, responseSizeBytesMax: documentSizeBytesMax });
  const resolver = new DidResolverCommon({ fetch, plcDirectoryUrl: deps.plcUrl });
  const waits = { waitingMax: waitingPerMethodMax, waitMsMax: timeoutMs };
  const limiters = {
    plc: createFetchLimiter(deps.clock, { runningMax: fetchesAtOnceMax.plcDocuments, provenOnly: 4, ...waits }),
    web: createFetchLimiter(deps.clock, { runningMax: fetchesAtOnceMax.webDocuments, provenOnly: 2, ...waits }),
  };
  return async (did, proofLevel) => {
    const method = resolvableMethod(did, deps.network);
    if (method === undefined) throw identityError('DidUnsupported');
    const ofDevelopment = await deps.findDevelopmentDocument?.(did);
    if (ofDevelopment !== undefined) return ofDevelopment;
    // The module is loaded before the timeout starts, because the first load takes long.
    await loadFetchGuard();
    const finished = new AbortController();
    const signal = deadline(deps.clock, timeoutMs, finished.signal);
    try {
      const document = await limiters[method].run(
        () => resolver.resolve(did as `did:${typeof method}:${string}`, { signal }),
        proofLevel,
      );
      return {
        verificationMethods: document.verificationMethod ?? [],
        pdsEndpoint: readPdsEndpoint(did, document.service ?? []),
      };
    } catch (error) {
      // The cause is dropped, because its text contains the DID.
      if (isIdentityError(error)) throw identityError(error.code);
      throw identityError((await isDefinite(error)) ? 'DidNotFound' : 'IdentityUnavailable');
    } finally {
      finished.abort();
    }
  };
}

/** Returns a signal that aborts after `timeoutMs`, or earlier when `finished` aborts. */
function deadline(clock: Clock, timeoutMs: number, finished: AbortSignal): AbortSignal {
  const late = new AbortController();
  void clock.sleep(timeoutMs, finished).then(() => late.abort());
  return late.signal;
}

const tryLaterStatuses = new Set([408, 425, 429]);

/**
 * Returns whether a server responded with an error that a retry would repeat, so that the DID has no valid document.
 */
async function isDefinite(error: unknown): Promise<boolean> {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === 'did-document-id-mismatch' || error.code === 'did-document-format-error') return true;
  const { cause } = error;
  const { FetchResponseError } = await loadFetchGuard();
  if (!(cause instanceof FetchResponseError)) return false;
  // A complete body that is not JSON (SyntaxError) is a definite response, but a truncated body is not.
  if (cause.cause !== undefined && !(cause.cause instanceof SyntaxError)) return false;
  return cause.response.status < 500 && !tryLaterStatuses.has(cause.response.status);
}
