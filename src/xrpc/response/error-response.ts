import { authErrors } from '#auth/auth-error.ts';
import type { HttpResponse } from '#edge/exchange.ts';
import { isAppError } from '#platform/errors.ts';
import { isTransientError } from '#platform/transient-error.ts';
import { outcomeUnknown } from '#platform/request-deadline.ts';
import type { XrpcRequest } from '../xrpc-request.ts';
import { generalError, generalErrors } from './general-error.ts';
import { responseHeaders, verbOf } from './response-headers.ts';
import { statuses } from './statuses.ts';
import { wwwAuthenticate } from './www-authenticate.ts';

/** Errors of the steps before the handler, which a lexicon need not declare. */
const undeclared: ReadonlySet<string> = new Set([
  ...Object.keys(generalErrors),
  ...Object.keys(authErrors),
  'BadTicket',
]);

const statusByName: ReadonlyMap<string, number> = new Map(Object.entries(statuses));

/** An error as the caller gets it. The text is fixed, and the only data are facts about the caller's request. */
export interface XrpcError {
  readonly status: number;
  readonly name: string;
  readonly body: string;
  readonly retryAfterSeconds?: number;
  /** The error to log when a defect or an unavailable database caused the response. */
  readonly unexpected?: unknown;
}

const noErrors: ReadonlySet<string> = new Set();

/** Seconds in `Retry-After` for an error that does not set them. */
const defaultRetryAfterSeconds = 5;

/**
 * Turns a thrown value into an error for the caller. `declared` are the error names in the lexicon of the method. A
 * transient error becomes ServiceUnavailable. Any other value that is not an AppError, and an AppError that is not
 * declared, becomes InternalServerError.
 */
export function toXrpcError(thrown: unknown, declared: ReadonlySet<string> = noErrors): XrpcError {
  if (!isAppError(thrown)) return isTransientError(thrown) ? unavailable(thrown) : internalError(thrown);
  const { code, message, detail } = thrown;
  const status = undeclared.has(code) || declared.has(code) ? statusByName.get(code) : undefined;
  if (status === undefined || status === statuses.InternalServerError) return internalError(thrown);
  const waits = status === statuses.RateLimitExceeded || status === statuses.ServiceUnavailable;
  const { currentEpoch, retryAfterSeconds = waits ? defaultRetryAfterSeconds : undefined } = detail;
  return {
    status,
    name: code,
    body: JSON.stringify({ error: code, message, currentEpoch }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterSeconds)) }),
  };
}

function unavailable(unexpected: unknown): XrpcError {
  return { ...toXrpcError(outcomeUnknown()), unexpected };
}

function internalError(unexpected: unknown): XrpcError {
  const { code, message } = generalError('InternalServerError');
  return { status: statuses[code], name: code, body: JSON.stringify({ error: code, message }), unexpected };
}

/** Returns the response to `request` that contains `error`. */
export function errorResponse(request: XrpcRequest, error: XrpcError): HttpResponse {
  const { status, name, body, retryAfterSeconds } = error;
  const { endpoint } = request;
  const headers = responseHeaders(request);
  if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
  if (status === statuses.MethodNotAllowed && endpoint !== undefined) headers['Allow'] = verbOf(endpoint);
  if (status === statuses.UpgradeRequired) headers['Upgrade'] = 'websocket';
  const challenge = wwwAuthenticate(status, name);
  if (challenge !== undefined) headers['WWW-Authenticate'] = challenge;
  // The rest of the body is not read, so the connection cannot carry another request.
  if (status === statuses.PayloadTooLarge) headers['Connection'] = 'close';
  if (name === 'AddressRefused') headers['Connection'] = 'close';
  return { status, headers, body };
}
