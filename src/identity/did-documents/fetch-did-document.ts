import { DidResolverCommon } from '@atproto-labs/did-resolver';
import type { Clock } from '#platform/clock.ts';
import { resolvableMethod } from './did.ts';
import type { IdentityNetwork } from './did.ts';
import { createFetchLimiter } from '../outbound/fetch-limiter.ts';
import { createGuardedFetch, fetchesAtOnceMax, loadGuard } from '../outbound/guarded-fetch.ts';
import { identityError, isIdentityError } from '../identity-error.ts';
import type { ProofLevel } from './authenticated-addresses.ts';
import { readPdsEndpoint } from './pds-endpoint.ts';
import type { VerificationMethod } from '../signatures/signing-key.ts';

/** What concerns us of a DID document. */
export interface FetchedDocument {
  readonly verificationMethods: readonly VerificationMethod[];
  /** Origin of the person's PDS. */
  readonly pdsEndpoint: string | undefined;
}

/**
 * Fetches a DID's document from the network, without any cache. When many are fetched, those for owners come first.
 * @throws AppError DidUnsupported, DidNotFound (a definite answer), IdentityUnavailable (no answer).
 */
export type FetchDidDocument = (did: string, proofLevel?: ProofLevel) => Promise<FetchedDocument>;

export interface FetchDidDocumentDeps {
  readonly clock: Clock;
  /** Base URL of the did:plc directory. */
  readonly plcUrl: string;
  readonly network: IdentityNetwork;
  /** For one document, from the wait for a turn to its last byte. */
  readonly timeoutMs: number;
}

const documentSizeBytesMax = 64 * 1024;
const waitingPerMethodMax = 256;

export function createFetchDidDocument(deps: FetchDidDocumentDeps): FetchDidDocument {
  const { network, timeoutMs } = deps;
  // The resolver adds `redirect: 'error'`.
  const fetch = createGuardedFetch({ network, timeoutMs, responseSizeBytesMax: documentSizeBytesMax });
  const resolver = new DidResolverCommon({ fetch, plcDirectoryUrl: deps.plcUrl });
  const waits = { waitingMax: waitingPerMethodMax, waitMsMax: timeoutMs };
  const gates = {
    plc: createFetchLimiter(deps.clock, { runningMax: fetchesAtOnceMax.plcDocuments, provenOnly: 4, ...waits }),
    web: createFetchLimiter(deps.clock, { runningMax: fetchesAtOnceMax.webDocuments, provenOnly: 2, ...waits }),
  };
  return async (did, proofLevel) => {
    const method = resolvableMethod(did, deps.network);
    if (method === undefined) throw identityError('DidUnsupported');
    // Loading it is no time of theirs.
    await loadGuard();
    const settled = new AbortController();
    const signal = deadline(deps.clock, timeoutMs, settled.signal);
    try {
      const document = await gates[method].run(
        () => resolver.resolve(did as `did:${typeof method}:${string}`, { signal }),
        proofLevel,
      );
      return {
        verificationMethods: document.verificationMethod ?? [],
        pdsEndpoint: readPdsEndpoint(did, document.service ?? []),
      };
    } catch (error) {
      // The cause stays behind: its text names the DID.
      if (isIdentityError(error)) throw identityError(error.code);
      throw identityError((await isDefinite(error)) ? 'DidNotFound' : 'IdentityUnavailable');
    } finally {
      settled.abort();
    }
  };
}

/** Aborts after `timeoutMs`, or when nobody waits any longer. */
function deadline(clock: Clock, timeoutMs: number, settled: AbortSignal): AbortSignal {
  const late = new AbortController();
  void clock.sleep(timeoutMs, settled).then(() => late.abort());
  return late.signal;
}

const tryLaterStatuses = new Set([408, 425, 429]);

/** Whether somebody answered, and the answer was no: asking again soon would not help. */
async function isDefinite(error: unknown): Promise<boolean> {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === 'did-document-id-mismatch' || error.code === 'did-document-format-error') return true;
  const { cause } = error;
  const { FetchResponseError } = await loadGuard();
  if (!(cause instanceof FetchResponseError)) return false;
  // A body that broke off is no answer; one that came whole and is no JSON is.
  if (cause.cause !== undefined && !(cause.cause instanceof SyntaxError)) return false;
  return cause.response.status < 500 && !tryLaterStatuses.has(cause.response.status);
}
