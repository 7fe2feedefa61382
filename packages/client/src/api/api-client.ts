import { ApiError, NoResponseError } from './api-error.ts';
import type { ErrorFields } from './api-error.ts';
import { parseJson, stringifyJson } from './bytes.ts';
import { methods } from './methods.ts';
import type { MethodFacts, MethodName, Methods } from './methods.ts';
import { retryDefaults, sleep, waitBeforeAttemptMs } from './retry.ts';
import type { RetryOptions } from './retry.ts';

export const namespace = 'blue.catbird.mls';

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
   * as `Retry-After` says, and after a lost response if a repetition is harmless: for queries, and for methods with `msgId` or
   * `idempotencyKey`, which it fills in.
   * @throws ApiError for an error response.
   * @throws NoResponseError when no response arrived.
   * @throws the reason of `signal` when it is aborted.
   */
  call<Name extends MethodName>(name: Name, request: RequestOf<Name>, options?: CallOptions): Promise<ResponseOf<Name>>;
  /** A token for one call of the method or stream with this NSID. */
  getToken(nsid: string, signal: AbortSignal): Promise<string>;
  readonly fetch: typeof fetch;
}

/** A client of the service at `serviceUrl` for the account that `getToken` speaks for. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const serviceUrl = new URL(options.serviceUrl).origin;
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const retry = { ...retryDefaults, ...options.retry };

  async function attempt(name: MethodName, request: object, { signal, timeoutMs }: CallOptions): Promise<Response> {
    const nsid = `${namespace}.${name}`;
    const timeout = AbortSignal.timeout(timeoutMs ?? options.timeoutMs ?? 30_000);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const authorization = `Bearer ${await options.getToken(nsid, either)}`;
    const url = `${serviceUrl}/xrpc/${nsid}`;
    if (methods[name].kind === 'query') {
      return send(`${url}${searchOf(request)}`, { headers: { authorization }, signal: either });
    }
    return send(url, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: stringifyJson(request),
      signal: either,
    });
  }

  /** One attempt, with its body. */
  async function respond(name: MethodName, request: object, call: CallOptions): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await attempt(name, request, call);
      text = await response.text();
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      throw new NoResponseError(name, error);
    }
    if (response.ok) return text === '' ? undefined : parseJson(text);
    throw errorOf(name, response, text);
  }

  return {
    serviceUrl,
    getToken: options.getToken,
    fetch: send,
    async call<Name extends MethodName>(name: Name, request: RequestOf<Name>, call: CallOptions = {}) {
      const repeatable = withRepetitionKey(name, request);
      for (let number = 1; ; number += 1) {
        try {
          // The service checks every response against the lexicon from which the type was generated.
          return (await respond(name, repeatable, call)) as ResponseOf<Name>;
        } catch (error) {
          const waitMs = waitAfter(error, methods[name], { nextAttempt: number + 1, retry });
          if (waitMs === undefined || number >= retry.attemptsMax) throw error;
          await sleep(waitMs, call.signal);
        }
      }
    },
  };
}

/** The wait before the next attempt; undefined if another attempt cannot help or could do harm. */
function waitAfter(
  error: unknown,
  { kind, repeatedBy }: MethodFacts,
  { nextAttempt, retry }: { readonly nextAttempt: number; readonly retry: Required<RetryOptions> },
): number | undefined {
  if (error instanceof NoResponseError) {
    const isHarmless = kind === 'query' || repeatedBy !== undefined;
    return isHarmless ? waitBeforeAttemptMs(nextAttempt, undefined, retry) : undefined;
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
export function errorOf(name: MethodName, response: Response, text: string): ApiError {
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
