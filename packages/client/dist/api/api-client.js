import { ApiError, NoResponseError } from './api-error.js';
import { parseJson, stringifyJson } from './bytes.js';
import { methods } from './methods.js';
import { retryDefaults, sleep, waitBeforeAttemptMs } from './retry.js';
export const namespace = 'blue.catbird.mls';
/** A client of the service at `serviceUrl` for the account that `getToken` speaks for. */
export function createApiClient(options) {
    const serviceUrl = new URL(options.serviceUrl).origin;
    const send = options.fetch ?? globalThis.fetch.bind(globalThis);
    const retry = { ...retryDefaults, ...options.retry };
    async function attempt(name, request, { signal, timeoutMs }) {
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
    async function respond(name, request, call) {
        let response;
        let text;
        try {
            response = await attempt(name, request, call);
            text = await response.text();
        }
        catch (error) {
            if (call.signal?.aborted === true)
                throw error;
            throw new NoResponseError(name, error);
        }
        if (response.ok)
            return text === '' ? undefined : parseJson(text);
        throw errorOf(name, response, text);
    }
    return {
        serviceUrl,
        getToken: options.getToken,
        fetch: send,
        async call(name, request, call = {}) {
            const repeatable = withRepetitionKey(name, request);
            for (let number = 1;; number += 1) {
                try {
                    // The service checks every response against the lexicon from which the type was generated.
                    return (await respond(name, repeatable, call));
                }
                catch (error) {
                    const waitMs = waitAfter(error, methods[name], { nextAttempt: number + 1, retry });
                    if (waitMs === undefined || number >= retry.attemptsMax)
                        throw error;
                    await sleep(waitMs, call.signal);
                }
            }
        },
    };
}
/** The wait before the next attempt; undefined if another attempt cannot help or could do harm. */
function waitAfter(error, { kind, repeatedBy }, { nextAttempt, retry }) {
    if (error instanceof NoResponseError) {
        const isHarmless = kind === 'query' || repeatedBy !== undefined;
        return isHarmless ? waitBeforeAttemptMs(nextAttempt, undefined, retry) : undefined;
    }
    if (!(error instanceof ApiError) || (error.status !== 429 && error.status !== 503))
        return undefined;
    const { retryAfterSeconds } = error;
    if (retryAfterSeconds !== undefined && retryAfterSeconds * 1_000 > retry.waitMaxMs)
        return undefined;
    return waitBeforeAttemptMs(nextAttempt, retryAfterSeconds, retry);
}
/** The request with a key that makes a repetition harmless, where the method has such a field and the caller set none. */
function withRepetitionKey(name, request) {
    const { repeatedBy } = methods[name];
    return repeatedBy === undefined || repeatedBy in request
        ? request
        : { ...request, [repeatedBy]: crypto.randomUUID() };
}
/** The query string of a request; a list repeats its name. */
function searchOf(request) {
    const pairs = Object.entries(request)
        .filter(([, value]) => value !== undefined)
        .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((item) => [name, String(item)]));
    return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}
/** The error response `response` with the body `text`. */
export function errorOf(name, response, text) {
    return new ApiError(name, response.status, errorFields(response, text));
}
/** The fields of an error response; a proxy in between may send a body that is not JSON. */
function errorFields(response, text) {
    const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
    const retryAfterSeconds = Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : undefined;
    let body;
    try {
        body = JSON.parse(text);
    }
    catch {
        body = undefined;
    }
    const fields = typeof body === 'object' && body !== null ? { ...body } : {};
    const { error, message, currentEpoch, quota } = fields;
    return {
        error: typeof error === 'string' ? error : undefined,
        message: typeof message === 'string' ? message : undefined,
        currentEpoch: typeof currentEpoch === 'number' ? currentEpoch : undefined,
        quota: typeof quota === 'string' ? quota : undefined,
        retryAfterSeconds,
    };
}
