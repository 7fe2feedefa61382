import type { Privacy } from '#privacy/privacy.ts';

const daySeconds = 86_400;

/**
 * Creates a function that computes the digest of a used token. The digest is an HMAC over issuer and jti, with the UTC
 * day on which the token expires as its scope.
 */
export function createReplayDigest(
  privacy: Privacy,
): (issuer: string, jti: string, expiresAtSeconds: number) => Buffer {
  return (issuer, jti, expiresAtSeconds) =>
    // A DID contains no line feed, so the separator is unambiguous.
    privacy.pseudonym('replay', [Math.floor(expiresAtSeconds / daySeconds)], `${issuer}\n${jti}`);
}
