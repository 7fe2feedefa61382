/** Details of a refusal besides its error name; every field concerns the caller's own request. */
export interface ErrorDetail {
  /** The conversation's current epoch, so that a client that lost an epoch race can recover from the response alone. */
  readonly currentEpoch?: number;
  /** Whole seconds until the same request may succeed. */
  readonly retryAfterSeconds?: number;
  /** Name of the quota that refused the request. */
  readonly limit?: string;
}

/**
 * An expected failure. `code` identifies it; `src/xrpc/response/statuses.ts` maps it to an HTTP status. `message` is sent to the
 * caller: a fixed text that says what to do next and never contains request data.
 */
export class AppError<Code extends string = string> extends Error {
  override readonly name = 'AppError';
  readonly code: Code;
  readonly detail: ErrorDetail;

  constructor(code: Code, message: string, detail: ErrorDetail = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** Whether `error` is an expected failure; narrows to an error whose code is a string. */
export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}

/** A broken invariant: never caused by the caller, sent as a 500 without a message of ours. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Returns `value`. @throws InvariantError when `value` is null or undefined. */
export function required<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new InvariantError(`missing ${what}`);
  return value;
}
