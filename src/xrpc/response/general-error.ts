import { AppError } from '#platform/errors.ts';
import type { ErrorDetail } from '#platform/errors.ts';

/** Errors that every method may send without declaring them, with their texts. */
export const generalErrors = {
  AddressRefused: 'The operator of this service does not accept requests from your network. Ask the operator.',
  InternalServerError: 'Something went wrong on the server. Try again later.',
  InvalidRequest: "The request does not fit the method's lexicon. Correct it.",
  MethodNotAllowed: 'Use the HTTP method that the Allow header names.',
  MethodNotImplemented: 'There is no such method. Check its name.',
  PayloadTooLarge: 'The body is larger than this method accepts. Send less at once.',
  RateLimitExceeded: 'Too many requests. Wait as long as Retry-After says.',
  ServiceUnavailable: 'The service cannot answer now. Try again as Retry-After says.',
  UnknownAddress: 'The proxy in front does not say where the request comes from. Ask the operator to correct it.',
  UnsupportedMediaType: 'Send the body as application/json without a content encoding.',
  UpgradeRequired: 'This is a subscription. Open it as a WebSocket.',
  UriTooLong: 'The URL is too long. Ask for fewer things at once.',
} as const;

export type GeneralErrorCode = keyof typeof generalErrors;

/** Creates the error `code` with its fixed text. */
export function generalError(code: GeneralErrorCode, detail?: ErrorDetail): AppError<GeneralErrorCode> {
  return new AppError(code, generalErrors[code], detail);
}
