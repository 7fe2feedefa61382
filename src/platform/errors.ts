/** What a refusal may tell the caller besides its name; every field concerns the caller's own request. */
export interface ErrorDetail {
  /** The conversation's epoch now, so that a client that lost an epoch race can recover from the reply alone. */
  readonly currentEpoch?: number;
  /** Whole seconds until the same request may succeed. */
  readonly retryAfterSeconds?: number;
  /** Name of the quota that refused the request. */
  readonly limit?: string;
}

/**
 * An expected failure. `code` says what happened; only `src/xrpc/respond.ts` knows which HTTP status that is.
 * `message` is sent to the caller: it is a fixed text that says what to do next and never contains request data.
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

/** Whether `error` is an expected failure; narrows to one whose code is text. */
export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}

/** A broken invariant: never the caller's fault, answered with a 500 that carries no text of ours. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Returns `value`, or throws if it is absent.
 * @throws InvariantError when a value that must exist does not.
 */
export function required<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new InvariantError(`missing ${what}`);
  return value;
}
