import type { MethodName, Methods } from './methods.ts';
/** Errors that every method can return, besides its declared ones. */
export type GeneralErrorName = 'AddressRefused' | 'AuthMissing' | 'BadJwt' | 'BadJwtAudience' | 'BadJwtIssuer' | 'BadJwtLexiconMethod' | 'BadJwtLifetime' | 'BadJwtSignature' | 'BadJwtType' | 'IdentityUnavailable' | 'InternalServerError' | 'InvalidRequest' | 'JwtExpired' | 'JwtReplayed' | 'JwtRevoked' | 'JwtTooOld' | 'RateLimitExceeded' | 'ServiceUnavailable' | 'UnknownAddress';
export type ApiErrorName = Methods[MethodName]['errors'] | GeneralErrorName;
/** An error response of the service. */
export declare class ApiError extends Error {
    readonly name = "ApiError";
    readonly method: MethodName;
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
    constructor(method: MethodName, status: number, fields: ErrorFields);
}
/** What an error response contains. */
export interface ErrorFields {
    readonly error?: string | undefined;
    readonly message?: string | undefined;
    readonly retryAfterSeconds?: number | undefined;
    readonly currentEpoch?: number | undefined;
    readonly quota?: string | undefined;
}
/** No response arrived: the connection failed, or the time for one attempt was over. The request may have been executed. */
export declare class NoResponseError extends Error {
    readonly name = "NoResponseError";
    readonly method: MethodName;
    readonly isTimeout: boolean;
    constructor(method: MethodName, cause: unknown);
}
/** An `ApiError` of a known name; `EpochMismatch` always has the current epoch. */
export type NamedApiError<Name extends ApiErrorName> = ApiError & {
    readonly error: Name;
} & (Name extends 'EpochMismatch' ? {
    readonly currentEpoch: number;
} : unknown);
/** Whether `error` is the error response `name`. */
export declare function isApiError<Name extends ApiErrorName>(error: unknown, name: Name): error is NamedApiError<Name>;
