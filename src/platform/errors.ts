/** The facts that a refusal returns in addition to its error name. Every field concerns only the caller's request. */
export interface ErrorDetail {
  /**
   * The current epoch of the conversation, so that a client whose commit lost an epoch race can recover without another
   * request.
   */
  readonly currentEpoch?: number;
  /** Whole seconds until a repetition of the request may succeed. */
  readonly retryAfterSeconds?: number;
  /** The name of the quota that refused the request. */
  readonly limit?: string;
}

/**
 * An expected failure, whose `code` is mapped to an HTTP status in `src/xrpc/response/statuses.ts`. The `message` is
 * sent to the caller, so it must be a fixed text that says what to do next and never contains request data.
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

/** Returns whether `error` is an expected failure. */
export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}

/**
 * The error for a defect of the service, which no caller can cause. The caller gets status 500 without this message.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Returns `value`, which must be present.
 * @throws InvariantError when `value` is null or undefined.
 */
export function required<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new InvariantError(`missing ${what}`);
  return value;
}
