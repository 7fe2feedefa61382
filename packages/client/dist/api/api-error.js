/** An error response of the service. */
export class ApiError extends Error {
    name = 'ApiError';
    method;
    /** HTTP status. */
    status;
    /** Name of the error, for example `EpochMismatch`. */
    error;
    /** Whole seconds until the same request may succeed; from `Retry-After`. */
    retryAfterSeconds;
    /** Only for `EpochMismatch`: the current epoch of the conversation. */
    currentEpoch;
    /** Only for `RateLimitExceeded`: name of the exhausted quota. */
    quota;
    constructor(method, status, fields) {
        super(fields.message ?? `${method} failed with HTTP status ${status}`);
        this.method = method;
        this.status = status;
        this.error = fields.error ?? 'Unknown';
        this.retryAfterSeconds = fields.retryAfterSeconds;
        this.currentEpoch = fields.currentEpoch;
        this.quota = fields.quota;
    }
}
/** No response arrived: the connection failed, or the time for one attempt was over. The request may have been executed. */
export class NoResponseError extends Error {
    name = 'NoResponseError';
    method;
    isTimeout;
    constructor(method, cause) {
        super(`${method} got no response`, { cause });
        this.method = method;
        this.isTimeout = cause instanceof DOMException && cause.name === 'TimeoutError';
    }
}
/** Whether `error` is the error response `name`. */
export function isApiError(error, name) {
    return error instanceof ApiError && error.error === name;
}
