import { sleep, unlessAborted, withSignal } from './abort.ts';
import { ApiError, isTransportFault, NoResponseError, TokenError } from './api-error.ts';
import type { EndpointName, ErrorFields } from './api-error.ts';
import { parseJson, stringifyJson } from './bytes.ts';
import { methods } from './methods.ts';
import type { MethodName, Methods } from './methods.ts';
import { retryDefaults, waitBeforeAttemptMs } from './retry.ts';
import type { RetryOptions } from './retry.ts';

export const namespace = 'blue.catbird.mls';

/** Methods without a key that have the same effect and the same response when the request is repeated. */
const harmlessMethods: ReadonlySet<MethodName> = new Set([
  'claimPendingDeviceAddition',
  'completePendingDeviceAddition',
  'confirmWelcome',
  'getSubscriptionTicket',
  'groupInfoRefresh',
  'invalidateWelcome',
  'readdition',
  'registerDevice',
  'syncKeyPackages',
  'updateCursor',
  'updateGroupInfo',
]);

export interface ApiClientOptions {
  /** Origin of the service, for example `https://mls.example.com`. */
  readonly serviceUrl: string;
  /**
   * Gives a service token for one call of the method with this NSID. The service accepts a token once, so each attempt needs a new
   * one. With `@atproto/api`: `agent.com.atproto.server.getServiceAuth({ aud, lxm: nsid })`.
   */
  readonly getToken: (nsid: string, signal: AbortSignal) => Promise<string>;
  /** Time for one attempt, in milliseconds; default 30,000. */
  readonly timeoutMs?: number;
  readonly retry?: RetryOptions;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Time for one attempt, in milliseconds; default: that of the client. */
  readonly timeoutMs?: number | undefined;
}

type RequestOf<Name extends MethodName> = Methods[Name]['request'];
type ResponseOf<Name extends MethodName> = Methods[Name]['response'];

/** Calls methods of the service as one account. */
export interface ApiClient {
  /** Origin of the service. */
  readonly serviceUrl: string;
  /**
   * Calls a method. `Uint8Array` and `{"$bytes": …}` are converted both ways. The client waits and repeats the call after 429 and 503
   * as `Retry-After` says, and after a lost response if a repetition is harmless: for queries, for methods with `msgId` or
   * `idempotencyKey`, which it fills in, and for some others such as `confirmWelcome`.
   * @throws ApiError for an error response.
   * @throws NoResponseError when no response arrived.
   * @throws TokenError when `getToken` failed.
   * @throws the reason of `signal` when it is aborted.
   */
  call<Name extends MethodName>(name: Name, request: RequestOf<Name>, options?: CallOptions): Promise<ResponseOf<Name>>;
  /** A token for one call of the method or stream with this NSID. @throws TokenError. */
  getToken(nsid: string, signal: AbortSignal): Promise<string>;
  readonly fetch: typeof fetch;
}

/** A client of the service at `serviceUrl` for the account that `getToken` speaks for. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const serviceUrl = new URL(options.serviceUrl).origin;
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const retry = { ...retryDefaults, ...options.retry };

  /** A function of the app that ignores its signal does not make a call wait. */
  async function getToken(nsid: string, signal: AbortSignal): Promise<string> {
    try {
      return await unlessAborted(options.getToken(nsid, signal), signal);
    } catch (error) {
      throw new TokenError(nsid, error);
    }
  }

  /** One attempt, with its body. */
  async function respond(name: MethodName, request: object, call: CallOptions): Promise<unknown> {
    const timeoutMs = call.timeoutMs ?? options.timeoutMs ?? 30_000;
    try {
      return await withSignal([call.signal], timeoutMs, async (signal) => {
        const token = await getToken(`${namespace}.${name}`, signal);
        const { path, init } = httpRequestOf(name, request, token);
        const response = await send(`${serviceUrl}${path}`, { ...init, signal });
        const text = await response.text();
        if (!response.ok) throw errorOf(name, response, text);
        return text === '' ? undefined : parseJson(text);
      });
    } catch (error) {
      if (call.signal?.aborted === true) throw call.signal.reason;
      if (error instanceof ApiError || error instanceof TokenError) throw error;
      throw new NoResponseError(name, error);
    }
  }

  return {
    serviceUrl,
    getToken,
    fetch: send,
    async call<Name extends MethodName>(name: Name, request: RequestOf<Name>, call: CallOptions = {}) {
      const repeatable = withRepetitionKey(name, request);
      for (let number = 1; ; number += 1) {
        try {
          // The service checks every response against the lexicon from which the type was generated.
          return (await respond(name, repeatable, call)) as ResponseOf<Name>;
        } catch (error) {
          const waitMs = waitAfter(error, { isHarmless: isHarmless(name), nextAttempt: number + 1, retry });
          if (waitMs === undefined || number >= retry.attemptsMax) throw error;
          await sleep(waitMs, call.signal);
        }
      }
    },
  };
}

function httpRequestOf(
  name: MethodName,
  request: object,
  token: string,
): { readonly path: string; readonly init: RequestInit } {
  const path = `/xrpc/${namespace}.${name}`;
  const authorization = `Bearer ${token}`;
  if (methods[name].kind === 'query')
    return { path: `${path}${searchOf(request)}`, init: { headers: { authorization } } };
  const headers = { authorization, 'content-type': 'application/json' };
  return { path, init: { method: 'POST', headers, body: stringifyJson(request) } };
}

function isHarmless(name: MethodName): boolean {
  const { kind, repeatedBy } = methods[name];
  return kind === 'query' || repeatedBy !== undefined || harmlessMethods.has(name);
}

/** The wait before the next attempt; undefined if another attempt cannot help or could do harm. */
function waitAfter(
  error: unknown,
  options: { readonly isHarmless: boolean; readonly nextAttempt: number; readonly retry: Required<RetryOptions> },
): number | undefined {
  const { nextAttempt, retry } = options;
  // Without a token the request was not sent.
  if (error instanceof TokenError) return waitBeforeAttemptMs(nextAttempt, undefined, retry);
  if (error instanceof NoResponseError || isTransportFault(error)) {
    return options.isHarmless ? waitBeforeAttemptMs(nextAttempt, undefined, retry) : undefined;
  }
  if (!(error instanceof ApiError) || (error.status !== 429 && error.status !== 503)) return undefined;
  const { retryAfterSeconds } = error;
  if (retryAfterSeconds !== undefined && retryAfterSeconds * 1_000 > retry.waitMaxMs) return undefined;
  return waitBeforeAttemptMs(nextAttempt, retryAfterSeconds, retry);
}

/** The request with a key that makes a repetition harmless, where the method has such a field and the caller set none. */
function withRepetitionKey(name: MethodName, request: object): object {
  const { repeatedBy } = methods[name];
  return repeatedBy === undefined || repeatedBy in request
    ? request
    : { ...request, [repeatedBy]: crypto.randomUUID() };
}

/** The query string of a request; a list repeats its name. */
function searchOf(request: object): string {
  const pairs = Object.entries(request)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]: [string, unknown]) =>
      (Array.isArray(value) ? value : [value]).map((item): [string, string] => [name, String(item)]),
    );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}

/** The error response `response` with the body `text`. */
export function errorOf(name: EndpointName, response: Response, text: string): ApiError {
  return new ApiError(name, response.status, errorFields(response, text));
}

/** The fields of an error response; a proxy in between may send a body that is not JSON. */
function errorFields(response: Response, text: string): ErrorFields {
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfterSeconds = Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : undefined;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const fields: Partial<Record<string, unknown>> = typeof body === 'object' && body !== null ? { ...body } : {};
  const { error, message, currentEpoch, quota } = fields;
  return {
    error: typeof error === 'string' ? error : undefined,
    message: typeof message === 'string' ? message : undefined,
    currentEpoch: typeof currentEpoch === 'number' ? currentEpoch : undefined,
    quota: typeof quota === 'string' ? quota : undefined,
    retryAfterSeconds,
  };
}
