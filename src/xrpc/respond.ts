import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import type { DomainErrorCode } from '#domain/domain-error.ts';
import { isAppError } from '#platform/errors.ts';
import { isTransientError } from '#platform/transient-error.ts';
import { outcomeUnknown } from '#platform/request-deadline.ts';
import { generalError, generalErrors } from './general-error.ts';
import type { GeneralErrorCode } from './general-error.ts';

/** Every HTTP status of the API. */
export const statuses = {
  AddressRefused: 403,
  AlreadyAdmin: 409,
  AlreadyMember: 409,
  AlreadyModerator: 409,
  AlreadyProcessed: 409,
  AlreadyResolved: 409,
  AlreadyRevoked: 409,
  AuthMissing: 401,
  BadJwt: 401,
  BadJwtAudience: 401,
  BadJwtIssuer: 401,
  BadJwtLexiconMethod: 401,
  BadJwtLifetime: 401,
  BadJwtSignature: 401,
  BadJwtType: 401,
  BadTicket: 401,
  BatchTooLarge: 400,
  BlockNotVerified: 403,
  BlueskyServiceUnavailable: 503,
  CannotRemoveSelf: 400,
  CannotReportSelf: 400,
  CannotWarnAdmin: 409,
  ConvoAlreadyExists: 409,
  ConvoNotFound: 404,
  DeviceNotFound: 404,
  DuplicateRequest: 409,
  EpochMismatch: 409,
  GroupInfoUnavailable: 404,
  IdempotencyKeyReused: 409,
  IdentityUnavailable: 503,
  InternalServerError: 500,
  InvalidAsset: 400,
  InvalidBatch: 400,
  InvalidCipherSuite: 400,
  InvalidCommit: 400,
  InvalidCursor: 400,
  InvalidDeviceName: 400,
  InvalidDid: 400,
  InvalidEpochRange: 400,
  InvalidGroupId: 400,
  InvalidGroupInfo: 400,
  InvalidKeyPackage: 400,
  InvalidKeyPackages: 400,
  InvalidMaxMembers: 400,
  InvalidPSKHash: 400,
  InvalidRequest: 400,
  InvalidSignatureKey: 400,
  InvalidWelcome: 400,
  InviteNotFound: 404,
  IsAdmin: 409,
  JwtExpired: 401,
  JwtReplayed: 401,
  JwtRevoked: 401,
  JwtTooOld: 401,
  KeyPackageAlreadyConsumed: 409,
  KeyPackageNotFound: 409,
  LastAdmin: 409,
  KeyPackageReserved: 409,
  MessageTooLarge: 413,
  MethodNotAllowed: 405,
  MethodNotImplemented: 501,
  NoActiveMembers: 409,
  NoFieldsProvided: 400,
  NotAdmin: 403,
  NotAdminTarget: 409,
  NotAuthorized: 403,
  NotClaimed: 403,
  NotFound: 404,
  NotMember: 403,
  NotModerator: 409,
  PayloadTooLarge: 413,
  PolicyViolation: 403,
  RateLimitExceeded: 429,
  ReportNotFound: 404,
  RateLimited: 429,
  RecipientNotFound: 404,
  RequestExpired: 409,
  RequestNotFound: 404,
  SelfRequest: 400,
  ServiceUnavailable: 503,
  TargetNotMember: 404,
  TooManyConnections: 429,
  TooManyConversations: 409,
  TooManyDevices: 409,
  TooManyInvites: 409,
  TooManyKeyPackages: 409,
  TooManyMembers: 400,
  TooManyReports: 409,
  UnknownAddress: 400,
  UnsupportedMediaType: 415,
  UpgradeRequired: 426,
  UriTooLong: 414,
  WelcomeNotFound: 404,
} as const satisfies Record<DomainErrorCode | GeneralErrorCode | AuthErrorCode | 'BadTicket', number>;

/** Refusals that need no declaration: those of the way in. */
const undeclared: ReadonlySet<string> = new Set([
  ...Object.keys(generalErrors),
  ...Object.keys(authErrors),
  'BadTicket',
]);

const statusByName: ReadonlyMap<string, number> = new Map(Object.entries(statuses));

/** An answer that says no: fixed text, and of data only what concerns the caller's own request. */
export interface Refusal {
  readonly status: number;
  readonly name: string;
  readonly body: string;
  readonly retryAfterSeconds?: number;
  /** The error behind an InternalServerError or a database that cannot answer now, for the log. */
  readonly unexpected?: unknown;
}

/** Of every answer but event streams. */
export const jsonType = 'application/json; charset=utf-8';

/** On top of these, for answers that go on for as long as the client listens; the last is for nginx, which would hold events back. */
export const eventStreamHeaders = {
  'Cache-Control': 'no-cache, no-store',
  'Content-Type': 'text/event-stream; charset=utf-8',
  'X-Accel-Buffering': 'no',
} as const;

export const statusOk = 200;
export const statusNoContent = 204;

const noErrors: ReadonlySet<string> = new Set();

/** Seconds named where a refusal asks to wait without saying how long. */
const defaultRetryAfterSeconds = 5;

/**
 * Turns what was thrown into an answer; `declared` are the error names of the method's lexicon. Anything but an AppError that
 * may be sent becomes an InternalServerError with a
 * fixed text, or ServiceUnavailable when it will pass; `unexpected` then holds the error.
 */
export function refusalOf(error: unknown, declared: ReadonlySet<string>): Refusal {
  if (!isAppError(error)) return isTransientError(error) ? unavailable(error) : internalError(error);
  const { code, message, detail } = error;
  const status = undeclared.has(code) || declared.has(code) ? statusByName.get(code) : undefined;
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

function unavailable(unexpected: unknown): Refusal {
  return { ...refusalOf(outcomeUnknown(), noErrors), unexpected };
}

function internalError(unexpected: unknown): Refusal {
  const { code, message } = generalError('InternalServerError');
  return { status: statuses[code], name: code, body: JSON.stringify({ error: code, message }), unexpected };
}
