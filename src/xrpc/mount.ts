import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context, Hono } from 'hono';
import type { Authenticate } from '#auth/authenticate.ts';
import type { Caller } from '#domain/caller.ts';
import type { Clock } from '#platform/clock.ts';
import { isPreflight, preflightHeaders } from '#edge/cors.ts';
import { handedOver } from '#edge/plain-answer.ts';
import type { Answerable, PlainAnswer } from '#edge/plain-answer.ts';
import { InvariantError } from '#platform/errors.ts';
import { newRequestId } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { currentRequest, outcomeUnknown } from '#platform/request-deadline.ts';
import type { RequestDeadlines } from '#platform/request-deadline.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { ClientAddressLimiter } from '#quota/client-address/client-address-limiter.ts';
import type { Admission } from './admission.ts';
import { challengeOf } from './challenge.ts';
import type { Endpoint, EventStreamEndpoint, MethodEndpoint, SubscriptionEndpoint } from './endpoint.ts';
import { admit, charge, identify } from './door.ts';
import type { AtTheDoor } from './door.ts';
import { generalError } from './general-error.ts';
import { LimitReached, rateLimitHeaders } from './rate-limit.ts';
import { readJsonBody, refuseLargeBody } from './request-body.ts';
import { eventStreamHeaders, jsonType, refusalOf, statusNoContent, statusOk, statuses } from './respond.ts';
import type { Refusal } from './respond.ts';
import { overloadAnswer } from './shed-request.ts';
import { hasLeftHttp, upgrade } from './upgrade.ts';

export interface MountDeps {
  readonly endpoints: readonly Endpoint[];
  /** Asked before anything else. */
  readonly admission: Admission;
  readonly authenticate: Authenticate;
  readonly quota: QuotaCharger;
  /** Counts what has not proven an identity. */
  readonly addressLimiter: ClientAddressLimiter;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Ends the waits of each request for the database; none without it. */
  readonly deadline?: RequestDeadlines;
  /** Called once for each answer. */
  readonly observe?: (observation: RequestObservation) => void;
}

/** Facts of one answer for metrics; every text is from a closed list. */
export interface RequestObservation {
  /** NSID of a mounted method, or `unknown`. */
  readonly method: string;
  readonly status: number;
  /** Error name, or `none`. */
  readonly error: string;
  /** The quota that had no room, if the request was refused for it. */
  readonly quota: string | undefined;
  readonly durationMs: number;
}

type XrpcContext = Context<{ Bindings: HttpBindings }>;
type Answered = PlainAnswer | Response;

/** What becomes known of a request on its way in, for its answer. */
interface Exchange extends AtTheDoor {
  readonly requestId: string;
  readonly search: URLSearchParams;
  endpoint: Endpoint | undefined;
}

const prefix = '/xrpc/';
const noErrors: ReadonlySet<string> = new Set();

/**
 * Serves `endpoints` under `/xrpc/`. Every request goes the same way: admission → address quota → identity → caller quota →
 * lexicon → handler → lexicon → answer.
 * @throws InvariantError when an endpoint lacks its lexicon, auth or quota, or two have the same name.
 */
export function mountXrpc(app: Hono<{ Bindings: HttpBindings }>, deps: MountDeps): void {
  const registry = registryOf(deps.endpoints);
  const { admission } = deps;
  app.all(
    `${prefix}*`,
    (context) =>
      admission.admit(() => inTime(deps, () => serve(deps, registry, context))) ??
      handOver(context, overloadAnswer(admission, context.env.incoming)),
  );
}

function inTime<T>({ deadline }: MountDeps, task: () => Promise<T>): Promise<T> {
  return deadline === undefined ? task() : deadline.run(task);
}

function registryOf(endpoints: readonly Endpoint[]): ReadonlyMap<string, Endpoint> {
  const registry = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const complete = [endpoint.nsid, endpoint.auth, endpoint.quota].every(
      (part) => typeof part === 'string' && part !== '',
    );
    if (!complete) throw new InvariantError('an endpoint lacks its lexicon, auth or quota');
    if (registry.has(endpoint.nsid)) throw new InvariantError('two endpoints have the same name');
    registry.set(endpoint.nsid, endpoint);
  }
  return registry;
}

async function serve(
  deps: MountDeps,
  registry: ReadonlyMap<string, Endpoint>,
  context: XrpcContext,
): Promise<Response> {
  const startedMs = deps.clock.monotonicMs();
  const exchange = exchangeOf(context.env.incoming);
  let error = 'none';
  let answered: Answered;
  try {
    answered = await answer(deps, registry, context, exchange);
  } catch (thrown) {
    if (thrown instanceof LimitReached) exchange.decision = thrown.decision;
    const refusal = refusalOf(thrown, exchange.endpoint?.errors ?? noErrors);
    error = refusal.name;
    if (refusal.unexpected !== undefined) {
      deps.logger.log('request_failed', { requestId: exchange.requestId, ...describeError(refusal.unexpected) });
    }
    answered = { status: refusal.status, headers: refusalHeaders(exchange, refusal), body: refusal.body };
  }
  const method = exchange.endpoint?.nsid ?? 'unknown';
  const quota = exchange.decision?.allowed === false ? exchange.decision.name : undefined;
  const durationMs = deps.clock.monotonicMs() - startedMs;
  deps.observe?.({ method, status: answered.status, error, quota, durationMs });
  return 'arrayBuffer' in answered ? answered : handOver(context, answered);
}

/** Past the router to the edge. What has left HTTP is answered by the router's adapter, which wants a `Response`. */
function handOver(context: XrpcContext, answer: PlainAnswer): Response {
  const carrier: Answerable = context.env;
  if (carrier.outgoing === undefined) return new Response(answer.body, answer);
  carrier.answer = answer;
  return handedOver;
}

function exchangeOf(request: IncomingMessage): Exchange {
  const queryAt = request.url?.indexOf('?') ?? -1;
  return {
    request,
    requestId: newRequestId(),
    search: new URLSearchParams(queryAt === -1 ? '' : request.url?.slice(queryAt + 1)),
    addressCharge: undefined,
    endpoint: undefined,
    decision: undefined,
  };
}

async function answer(
  deps: MountDeps,
  registry: ReadonlyMap<string, Endpoint>,
  context: XrpcContext,
  exchange: Exchange,
): Promise<Answered> {
  await admit(deps.addressLimiter, exchange);
  if (isPreflight(context.env)) return { status: statusNoContent, headers: preflightHeaders, body: '' };
  if ((exchange.request.url?.length ?? 0) > limits.urlLengthMax) throw generalError('UriTooLong');
  const endpoint = registry.get(context.req.path.slice(prefix.length));
  if (endpoint === undefined) throw generalError('MethodNotImplemented');
  exchange.endpoint = endpoint;
  if (exchange.request.method !== verbOf(endpoint)) throw generalError('MethodNotAllowed');
  switch (endpoint.kind) {
    case 'subscription':
      return openSubscription(deps, context, exchange, endpoint);
    case 'eventStream':
      return openEventStream(deps, context, exchange, endpoint);
    case 'query':
    case 'procedure':
      return callMethod(deps, exchange, endpoint);
  }
}

async function callMethod(deps: MountDeps, exchange: Exchange, endpoint: MethodEndpoint): Promise<PlainAnswer> {
  const { request, search } = exchange;
  const caller = await identify(deps.addressLimiter, exchange, () =>
    deps.authenticate(request.headers.authorization, endpoint.nsid, exchange.addressCharge?.bucket),
  );
  await chargeCaller(deps, exchange, endpoint, caller);
  refuseLargeBody(request, endpoint.bodySizeBytesMax);
  const readBody = (): Promise<unknown> => deps.admission.aside(() => readJsonBody(request, endpoint.bodySizeBytesMax));
  const body = await endpoint.answer({ caller, search, readBody });
  return { status: statusOk, headers: headersOf(exchange), body };
}

async function openEventStream(
  deps: MountDeps,
  context: XrpcContext,
  exchange: Exchange,
  endpoint: EventStreamEndpoint,
): Promise<Response> {
  const { request, search } = exchange;
  const caller = await identify(deps.addressLimiter, exchange, () =>
    deps.authenticate(request.headers.authorization, endpoint.nsid, exchange.addressCharge?.bucket),
  );
  await chargeCaller(deps, exchange, endpoint, caller);
  const take = await endpoint.open({ caller, search, lastEventId: request.headers['last-event-id']?.toString() });
  if (currentRequest()?.isExpired === true) throw outcomeUnknown();
  context.env.outgoing.writeHead(statusOk, { ...headersOf(exchange), ...eventStreamHeaders });
  context.env.outgoing.flushHeaders();
  take(context.env.outgoing);
  return RESPONSE_ALREADY_SENT;
}

async function openSubscription(
  deps: MountDeps,
  context: XrpcContext,
  exchange: Exchange,
  endpoint: SubscriptionEndpoint,
): Promise<Response> {
  if (!hasLeftHttp(context)) throw generalError('UpgradeRequired');
  const admitted = await identify(deps.addressLimiter, exchange, () => endpoint.admit(exchange.search));
  await chargeCaller(deps, exchange, endpoint, admitted.caller);
  const take = await admitted.open();
  return upgrade(context, take, headersOf(exchange));
}

async function chargeCaller(deps: MountDeps, exchange: Exchange, endpoint: Endpoint, caller: Caller): Promise<void> {
  charge(exchange, await deps.quota.takeCaller(caller.did, endpoint.quota));
}

function verbOf(endpoint: Endpoint): 'GET' | 'POST' {
  return endpoint.kind === 'procedure' ? 'POST' : 'GET';
}

function headersOf(exchange: Exchange): Record<string, string> {
  return { 'Content-Type': jsonType, 'X-Request-Id': exchange.requestId, ...rateLimitHeaders(exchange.decision) };
}

function refusalHeaders(
  exchange: Exchange,
  refusal: Pick<Refusal, 'status' | 'name' | 'retryAfterSeconds'>,
): Record<string, string> {
  const headers = headersOf(exchange);
  const { endpoint } = exchange;
  if (refusal.retryAfterSeconds !== undefined) headers['Retry-After'] = String(refusal.retryAfterSeconds);
  if (refusal.status === statuses.MethodNotAllowed && endpoint !== undefined) headers['Allow'] = verbOf(endpoint);
  if (refusal.status === statuses.UpgradeRequired) headers['Upgrade'] = 'websocket';
  const challenge = challengeOf(refusal);
  if (challenge !== undefined) headers['WWW-Authenticate'] = challenge;
  // What is left of the body will not be read, so the connection cannot carry another request.
  if (refusal.status === statuses.PayloadTooLarge) headers['Connection'] = 'close';
  if (refusal.name === 'AddressRefused') headers['Connection'] = 'close';
  return headers;
}
