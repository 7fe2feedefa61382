import { ApiError } from './api-error.ts';
import type { MethodName, Methods } from './methods.ts';
import type { RetryOptions } from './retry.ts';
export declare const namespace = "blue.catbird.mls";
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
export declare function createApiClient(options: ApiClientOptions): ApiClient;
/** The error response `response` with the body `text`. */
export declare function errorOf(name: MethodName, response: Response, text: string): ApiError;
export {};
