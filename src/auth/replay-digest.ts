import type { Privacy } from '#privacy/privacy.ts';

const daySeconds = 86_400;

/** Creates the digest of a used token: an HMAC over issuer and jti whose scope is the UTC day on which the token expires. */
export function createReplayDigest(
  privacy: Privacy,
): (issuer: string, jti: string, expiresAtSeconds: number) => Buffer {
  return (issuer, jti, expiresAtSeconds) =>
    // A DID contains no line feed, so the separator is unambiguous.
    privacy.pseudonym('replay', [Math.floor(expiresAtSeconds / daySeconds)], `${issuer}\n${jti}`);
}
