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

/** Errors that a lexicon need not declare: those of the steps before the handler. */
const undeclared: ReadonlySet<string> = new Set([
  ...Object.keys(generalErrors),
  ...Object.keys(authErrors),
  'BadTicket',
]);

const statusByName: ReadonlyMap<string, number> = new Map(Object.entries(statuses));

/** An error for the caller: a fixed text, and no data except facts about the caller's own request. */
export interface XrpcError {
  readonly status: number;
  readonly name: string;
  readonly body: string;
  readonly retryAfterSeconds?: number;
  /** For the log: the error behind InternalServerError or behind an unavailable database. */
  readonly unexpected?: unknown;
}

const noErrors: ReadonlySet<string> = new Set();

/** `Retry-After` of an error without a time of its own. */
const defaultRetryAfterSeconds = 5;

/**
 * Turns a thrown value into an error for the caller. `declared` are the error names in the lexicon of the method. A transient error
 * becomes ServiceUnavailable; any other value that is no AppError, and an AppError that is not declared, becomes InternalServerError.
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

/** The response to `request` that carries `error`. */
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
