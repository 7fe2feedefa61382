import { isPreflight, preflightResponse } from '#edge/cors.ts';
import type { HttpResponse } from '#edge/exchange.ts';
import { InvariantError } from '#platform/errors.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { runInContext } from '#platform/request-context.ts';
import type { RequestDeadlines } from '#platform/request-deadline.ts';
import { chargeClientAddress } from './authenticate-and-charge.ts';
import { callEndpoint } from './call-endpoint.ts';
import type { CallDeps } from './call-endpoint.ts';
import type { Endpoint } from './endpoint.ts';
import type { Slot } from './overload/admission.ts';
import { overloadResponse } from './overload/overload-response.ts';
import { toXrpcError, errorResponse } from './response/error-response.ts';
import type { XrpcError } from './response/error-response.ts';
import { LimitReached } from './response/rate-limit.ts';
import { statusOk } from './response/statuses.ts';
import { newXrpcRequest } from './xrpc-request.ts';
import type { XrpcExchange, XrpcRequest } from './xrpc-request.ts';

export interface XrpcDeps extends CallDeps {
  readonly endpoints: readonly Endpoint[];
  readonly logger: Logger;
  /** Ends the database waits of each request at a common deadline. If undefined, the waits have no common deadline. */
  readonly deadline?: RequestDeadlines;
  /** Called once for each response. */
  readonly observe?: (observation: RequestObservation) => void;
}

/** Facts about one response for metrics. Every text is from a closed list. */
export interface RequestObservation {
  /** NSID of a method that the service has, or `unknown`. */
  readonly method: string;
  readonly status: number;
  /** Error name, or `none`. */
  readonly error: string;
  /** The quota that refused the request, if one did. */
  readonly quota: string | undefined;
  readonly durationMs: number;
}

/** Resolves to the response for the edge to write, or to undefined when the request has become a stream. */
export type RespondToXrpc = (exchange: XrpcExchange) => Promise<HttpResponse | undefined>;

/**
 * Creates a function that serves `endpoints`. Every request takes these steps in order: admission limit, client address
 * quota, authentication, account quota, check of the input, handler.
 * @throws InvariantError when an endpoint lacks its lexicon, auth or quota, or two have the same name.
 */
export function createXrpcResponder(deps: XrpcDeps): RespondToXrpc {
  const endpoints = endpointsByNsid(deps.endpoints);
  const { admission, deadline } = deps;
  return (exchange) => {
    const slot = admission.takeSlot();
    if (slot === undefined) return Promise.resolve(overloadResponse(admission, exchange.incoming));
    const run = (): Promise<HttpResponse | undefined> => respond(deps, endpoints, exchange, slot);
    return deadline === undefined ? runInContext({ slot }, run) : deadline.run(run, slot);
  };
}

function endpointsByNsid(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  const byNsid = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const complete = [endpoint.nsid, endpoint.auth, endpoint.quota].every(
      (part) => typeof part === 'string' && part !== '',
    );
    if (!complete) throw new InvariantError('an endpoint lacks its lexicon, auth or quota');
    if (byNsid.has(endpoint.nsid)) throw new InvariantError('two endpoints have the same name');
    byNsid.set(endpoint.nsid, endpoint);
  }
  return byNsid;
}

/** Responds to a request that has `slot`, and releases the slot. */
async function respond(
  deps: XrpcDeps,
  endpoints: ReadonlyMap<string, Endpoint>,
  exchange: XrpcExchange,
  slot: Slot,
): Promise<HttpResponse | undefined> {
  const startedMs = deps.clock.monotonicMs();
  const request = newXrpcRequest(exchange);
  let error = 'none';
  let response: HttpResponse | undefined;
  try {
    chargeClientAddress(deps.addressLimiter, request);
    response = isPreflight(exchange) ? preflightResponse : await callEndpoint(deps, endpoints, request);
  } catch (thrown) {
    const refusal = refuse(deps, request, thrown);
    error = refusal.name;
    response = errorResponse(request, refusal);
  } finally {
    slot.release();
  }
  const { endpoint, decision } = request;
  deps.observe?.({
    method: endpoint?.nsid ?? 'unknown',
    status: response?.status ?? statusOk,
    error,
    quota: decision?.allowed === false ? decision.name : undefined,
    durationMs: deps.clock.monotonicMs() - startedMs,
  });
  return response;
}

function refuse({ logger }: XrpcDeps, request: XrpcRequest, thrown: unknown): XrpcError {
  if (thrown instanceof LimitReached) request.decision = thrown.decision;
  const error = toXrpcError(thrown, request.endpoint?.errors);
  const { unexpected } = error;
  if (unexpected !== undefined) {
    logger.log('request_failed', { requestId: request.requestId, ...describeError(unexpected) });
  }
  return error;
}
