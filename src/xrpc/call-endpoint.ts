import type { IncomingMessage } from 'node:http';
import type { Authenticate, Authenticated } from '#auth/authenticate.ts';
import type { HttpResponse } from '#edge/exchange.ts';
import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import { yieldToEventLoop } from '#platform/process/yield-to-event-loop.ts';
import { currentRequest, outcomeUnknown } from '#platform/request-deadline.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { ClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import { authenticate, chargeAccount } from './authenticate-and-charge.ts';
import type { Endpoint, EventStreamEndpoint, MethodEndpoint, SubscriptionEndpoint } from './endpoint.ts';
import { readJsonBody, refuseLargeBody } from './input/request-body.ts';
import type { Admission } from './overload/admission.ts';
import { generalError } from './response/general-error.ts';
import { eventStreamHeaders, responseHeaders, verbOf } from './response/response-headers.ts';
import { statusOk } from './response/statuses.ts';
import type { XrpcRequest } from './xrpc-request.ts';

export interface CallDeps {
  readonly admission: Admission;
  readonly authenticate: Authenticate;
  readonly quota: QuotaCharger;
  /** Limits client addresses before their requests are authenticated. */
  readonly addressLimiter: ClientAddressLimiter;
  readonly clock: Clock;
}

/**
 * Authenticates the request, charges the account, and runs the endpoint that the request names. Throws or rejects.
 * @returns undefined when the request has become a stream.
 * @throws AppError to refuse the request.
 */
export function callEndpoint(
  deps: CallDeps,
  endpoints: ReadonlyMap<string, Endpoint>,
  request: XrpcRequest,
): Promise<HttpResponse | undefined> {
  if ((request.incoming.url?.length ?? 0) > limits.urlLengthMax) throw generalError('UriTooLong');
  const endpoint = endpoints.get(request.nsid);
  if (endpoint === undefined) throw generalError('MethodNotImplemented');
  request.endpoint = endpoint;
  if (request.incoming.method !== verbOf(endpoint)) throw generalError('MethodNotAllowed');
  switch (endpoint.kind) {
    case 'subscription':
      return openSubscription(deps, request, endpoint);
    case 'eventStream':
      return openEventStream(deps, request, endpoint);
    case 'query':
    case 'procedure':
      return callMethod(deps, request, endpoint);
  }
}

async function callMethod(deps: CallDeps, request: XrpcRequest, endpoint: MethodEndpoint): Promise<HttpResponse> {
  const { incoming, search } = request;
  const { caller, tokenUse } = await authenticateByToken(deps, request, endpoint, endpoint.recordsTokenUse);
  try {
    const charging = chargeAccount(deps.quota, request, { caller, quota: endpoint.quota });
    if (charging !== undefined) await charging;
    refuseLargeBody(incoming, endpoint.bodySizeBytesMax);
    // Most bodies arrive with the head, but Node parses them after it has reported the head.
    if (endpoint.readsBody && !incoming.complete) await yieldToEventLoop();
    const body = endpoint.readsBody ? readBody(deps.admission, incoming, endpoint.bodySizeBytesMax) : undefined;
    const input = body instanceof Promise ? ((await body) as unknown) : body;
    const output = await endpoint.call({ caller, search, body: input, tokenUse });
    const recording = tokenUse?.record();
    if (recording !== undefined) await recording;
    return { status: statusOk, headers: responseHeaders(request), body: output };
  } catch (error) {
    // A refused request uses up its token too, and the refusal of a token precedes every other refusal.
    await tokenUse?.record();
    throw error;
  }
}

/**
 * Reads the body. The result is no promise when the whole body has arrived; otherwise the request has no slot while the
 * server waits for the client.
 */
function readBody(admission: Admission, incoming: IncomingMessage, sizeBytesMax: number): unknown {
  const read = (): unknown => readJsonBody(incoming, sizeBytesMax);
  return incoming.complete ? read() : admission.withoutSlot(async () => read());
}

async function openEventStream(
  deps: CallDeps,
  request: XrpcRequest,
  endpoint: EventStreamEndpoint,
): Promise<undefined> {
  const { incoming, outgoing, search } = request;
  const { caller } = await authenticateByToken(deps, request, endpoint);
  await chargeAccount(deps.quota, request, { caller, quota: endpoint.quota });
  const serve = await endpoint.open({ caller, search, lastEventId: incoming.headers['last-event-id']?.toString() });
  if (currentRequest()?.isExpired === true) throw outcomeUnknown();
  outgoing.writeHead(statusOk, { ...responseHeaders(request), ...eventStreamHeaders });
  outgoing.flushHeaders();
  serve(outgoing);
}

async function openSubscription(
  deps: CallDeps,
  request: XrpcRequest,
  endpoint: SubscriptionEndpoint,
): Promise<undefined> {
  const { openWebSocket, search } = request;
  if (openWebSocket === undefined) throw generalError('UpgradeRequired');
  const { caller, open } = await authenticate(deps.addressLimiter, request, endpoint.authenticate(search));
  await chargeAccount(deps.quota, request, { caller, quota: endpoint.quota });
  openWebSocket(responseHeaders(request), await open());
}

function authenticateByToken(
  deps: CallDeps,
  request: XrpcRequest,
  { nsid }: Endpoint,
  defersUse = false,
): Promise<Authenticated> {
  const { authorization } = request.incoming.headers;
  const verified = deps.authenticate(authorization, nsid, { address: request.addressCharge?.bucket, defersUse });
  return authenticate(deps.addressLimiter, request, verified);
}
