import { AppError } from '#platform/errors.ts';

/** The errors of a signing key lookup, each with the text that clients get. */
export const identityErrors = {
  DidUnsupported: 'Only did:plc and did:web identities of a host name are supported.',
  DidNotFound: 'The DID has no valid document.',
  SigningKeyMissing: 'The DID document has no usable signing key of that name.',
  IdentityUnavailable: 'The DID document cannot be fetched at the moment. Try again in a few seconds.',
} as const;

export type IdentityErrorCode = keyof typeof identityErrors;

export function identityError(code: IdentityErrorCode): AppError<IdentityErrorCode> {
  return new AppError(code, identityErrors[code]);
}

export function isIdentityError(error: unknown): error is AppError<IdentityErrorCode> {
  if (!(error instanceof AppError)) return false;
  const code: unknown = error.code;
  return typeof code === 'string' && Object.hasOwn(identityErrors, code);
}
