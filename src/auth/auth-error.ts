import { AppError } from '#platform/errors.ts';

/**
 * The errors that refuse a token, each with a fixed text that says what the caller has to do next. All have status 401
 * except `IdentityUnavailable`, which is 503 because the service could not fetch the issuer's document.
 */
export const authErrors = {
  AuthMissing: 'Send a service token: "Authorization: Bearer <token>". Get one from your PDS with getServiceAuth.',
  BadJwt: 'The token is malformed. Send exactly one unaltered atproto service token with iss, aud, exp, lxm and jti.',
  BadJwtType: 'The token is not a service token. Sign a JWT with ES256K or ES256 and leave typ out or set it to JWT.',
  BadJwtAudience: 'The token is for another service. Set aud to the DID of this one.',
  BadJwtIssuer: 'The issuer cannot be used. Use a bare did:plc or did:web whose document holds an #atproto key.',
  BadJwtLexiconMethod: 'The token is for another method. Set lxm to the NSID of the method that is called.',
  BadJwtLifetime:
    'The token lives too long or starts in the future. Let exp be at most 300 seconds after iat, and check the clock.',
  BadJwtSignature: "The signature is not one of the issuer's key. Sign again with the key in the DID document.",
  JwtExpired: 'The token has expired. Get a new one.',
  JwtReplayed: 'The token was used before. Get a new one for every request.',
  JwtRevoked:
    'The operator of this service refuses older tokens of this account. Get a new one; if that does not help, ask the operator.',
  JwtTooOld: 'The token was issued before this service (re)started its record of used tokens. Get a new one.',
  IdentityUnavailable:
    "The issuer's DID document cannot be fetched at the moment. Try again in a few seconds with a new token.",
} as const;

export type AuthErrorCode = keyof typeof authErrors;

export function authError(code: AuthErrorCode): AppError<AuthErrorCode> {
  return new AppError(code, authErrors[code]);
}

/**
 * Creates the error for a token that is a few seconds older than the record of used tokens, so that an earlier use
 * cannot be excluded. The status is 503 rather than 401, because a retry with a new token succeeds.
 */
export function replayRecordTooNew(): AppError<'ServiceUnavailable'> {
  return new AppError(
    'ServiceUnavailable',
    'The service has just restarted its record of used tokens. Nothing was done. Try again as Retry-After says, with a new token.',
    { retryAfterSeconds: 1 },
  );
}
