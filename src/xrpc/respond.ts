import type { DomainErrorCode } from '#domain/domain-error.ts';
import { isAppError } from '#platform/errors.ts';
import { generalError, generalErrors } from './general-error.ts';
import type { GeneralErrorCode } from './general-error.ts';

/** Every HTTP status of the API. */
export const statuses = {
  AlreadyMember: 409,
  CannotRemoveSelf: 400,
  ConvoAlreadyExists: 409,
  ConvoNotFound: 404,
  DeviceAlreadyRegistered: 409,
  DeviceNotFound: 404,
  EpochMismatch: 409,
  GroupInfoUnavailable: 404,
  InternalServerError: 500,
  InvalidAsset: 400,
  InvalidCipherSuite: 400,
  InvalidCommit: 400,
  InvalidCursor: 400,
  InvalidDeviceName: 400,
  InvalidEpochRange: 400,
  InvalidGroupId: 400,
  InvalidGroupInfo: 400,
  InvalidKeyPackage: 400,
  InvalidKeyPackages: 400,
  InvalidRequest: 400,
  InvalidSignatureKey: 400,
  InvalidWelcome: 400,
  KeyPackageNotFound: 409,
  LastAdmin: 409,
  LastMember: 409,
  MessageTooLarge: 413,
  MethodNotAllowed: 405,
  MethodNotImplemented: 501,
  NotAdmin: 403,
  NotMember: 403,
  PayloadTooLarge: 413,
  RateLimitExceeded: 429,
  ServiceUnavailable: 503,
  TargetNotMember: 404,
  TooManyConnections: 429,
  TooManyConversations: 409,
  TooManyDevices: 409,
  TooManyKeyPackages: 409,
  TooManyMembers: 400,
  UnknownAddress: 400,
  UnsupportedMediaType: 415,
  UpgradeRequired: 426,
  UriTooLong: 414,
  WelcomeNotFound: 404,
} as const satisfies Record<DomainErrorCode | GeneralErrorCode, number>;

/** Names of src/auth that are not in the list above: whoever asks has not proven who they are. */
export const unauthenticated = 401;

const statusByName: ReadonlyMap<string, number> = new Map(Object.entries(statuses));

/** An answer that says no: fixed text, and of data only what concerns the caller's own request. */
export interface Refusal {
  readonly status: number;
  readonly name: string;
  readonly body: string;
  readonly retryAfterSeconds?: number;
  /** The error behind an InternalServerError, for the log. */
  readonly unexpected?: unknown;
}

/** Where an error arose: proving who asks may refuse with names of its own, a method only with names that its lexicon declares. */
export type RefusedBy = 'identity' | { readonly declared: ReadonlySet<string> };

/** Sent on every answer of the API. */
export const answerHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Content-Type': 'application/json; charset=utf-8',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

export const statusOk = 200;

/** Seconds named where a refusal asks to wait without saying how long. */
const defaultRetryAfterSeconds = 5;

/**
 * Turns what was thrown into an answer. Anything but an AppError that may be sent here becomes an InternalServerError with a
 * fixed text; `unexpected` then holds the error.
 */
export function refusalOf(error: unknown, refusedBy: RefusedBy): Refusal {
  if (!isAppError(error)) return internalError(error);
  const { code, message, detail } = error;
  const status = statusOf(code, refusedBy);
  if (status === undefined || status === statuses.InternalServerError) return internalError(error);
  const waits = status === statuses.RateLimitExceeded || status === statuses.ServiceUnavailable;
  const { currentEpoch, retryAfterSeconds = waits ? defaultRetryAfterSeconds : undefined } = detail;
  return {
    status,
    name: code,
    body: JSON.stringify({ error: code, message, currentEpoch }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterSeconds)) }),
  };
}

function statusOf(code: string, refusedBy: RefusedBy): number | undefined {
  const status = statusByName.get(code);
  if (Object.hasOwn(generalErrors, code)) return status;
  if (refusedBy === 'identity') return status ?? unauthenticated;
  return refusedBy.declared.has(code) ? status : undefined;
}

function internalError(unexpected: unknown): Refusal {
  const { code, message } = generalError('InternalServerError');
  return { status: statuses[code], name: code, body: JSON.stringify({ error: code, message }), unexpected };
}
