import type { MethodName, Methods } from './methods.ts';

/** Errors that every method can return, besides its declared ones. */
export type GeneralErrorName =
  | 'AddressRefused'
  | 'AuthMissing'
  | 'BadJwt'
  | 'BadJwtAudience'
  | 'BadJwtIssuer'
  | 'BadJwtLexiconMethod'
  | 'BadJwtLifetime'
  | 'BadJwtSignature'
  | 'BadJwtType'
  | 'IdentityUnavailable'
  | 'InternalServerError'
  | 'InvalidRequest'
  | 'JwtExpired'
  | 'JwtReplayed'
  | 'JwtRevoked'
  | 'JwtTooOld'
  | 'RateLimitExceeded'
  | 'ServiceUnavailable'
  | 'UnknownAddress';

/** What a call or a stream is sent to. */
export type EndpointName = MethodName | 'streamConvoEvents';

export type ApiErrorName = Methods[MethodName]['errors'] | GeneralErrorName;

/** An error response of the service. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly method: EndpointName;
  /** HTTP status. */
  readonly status: number;
  /** Name of the error, for example `EpochMismatch`. */
  readonly error: string;
  /** Whole seconds until the same request may succeed; from `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;
  /** Only for `EpochMismatch`: the current epoch of the conversation. */
  readonly currentEpoch: number | undefined;
  /** Only for `RateLimitExceeded`: name of the exhausted quota. */
  readonly quota: string | undefined;

  constructor(method: EndpointName, status: number, fields: ErrorFields) {
    super(fields.message ?? `${method} failed with HTTP status ${status}`);
    this.method = method;
    this.status = status;
    this.error = fields.error ?? 'Unknown';
    this.retryAfterSeconds = fields.retryAfterSeconds;
    this.currentEpoch = fields.currentEpoch;
    this.quota = fields.quota;
  }
}

/** What an error response contains. */
export interface ErrorFields {
  readonly error?: string | undefined;
  readonly message?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly currentEpoch?: number | undefined;
  readonly quota?: string | undefined;
}

/**
 * No response arrived that can be read: the connection failed, the time for one attempt was over, or a proxy answered instead of the
 * service. The request may have been executed.
 */
export class NoResponseError extends Error {
  override readonly name = 'NoResponseError';
  readonly method: EndpointName;
  readonly isTimeout: boolean;

  constructor(method: EndpointName, cause: unknown) {
    super(`${method} got no response`, { cause });
    this.method = method;
    this.isTimeout = cause instanceof DOMException && cause.name === 'TimeoutError';
  }
}

/** `getToken` failed, so that the request was not sent. The `cause` is its error. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  /** Of the method or stream for which the token was. */
  readonly nsid: string;

  constructor(nsid: string, cause: unknown) {
    super(`getToken failed for ${nsid}`, { cause });
    this.nsid = nsid;
  }
}

const requestTimeout = 408;

/**
 * Whether the response says that the request did not arrive as a whole, or that it arrived twice and the first copy was executed. A
 * connection that repeats a request by itself causes the latter. Another attempt has another token.
 */
export function isTransportFault(error: unknown): boolean {
  return error instanceof ApiError && (error.status === requestTimeout || error.error === 'JwtReplayed');
}

/** Whether the same request may succeed later: the network, the service or the source of tokens failed, or a quota is used up. */
export function isTransient(error: unknown): boolean {
  if (isTransportFault(error)) return true;
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500;
  return error instanceof NoResponseError || error instanceof TokenError;
}

/** An `ApiError` of a known name; `EpochMismatch` always has the current epoch. */
export type NamedApiError<Name extends ApiErrorName> = ApiError & {
  readonly error: Name;
} & (Name extends 'EpochMismatch' ? { readonly currentEpoch: number } : unknown);

/** Whether `error` is the error response `name`. */
export function isApiError<Name extends ApiErrorName>(error: unknown, name: Name): error is NamedApiError<Name> {
  return error instanceof ApiError && error.error === name;
}
