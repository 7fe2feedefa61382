import type { Privacy } from '#privacy/privacy.ts';

const daySeconds = 86_400;

/** What the record of used tokens holds of one: an HMAC that matches only on the UTC day on which the token expires. */
export function createReplayDigest(
  privacy: Privacy,
): (issuer: string, jti: string, expiresAtSeconds: number) => Buffer {
  return (issuer, jti, expiresAtSeconds) =>
    // No DID contains a line feed, so the two parts cannot run into each other.
    privacy.pseudonym('replay', [Math.floor(expiresAtSeconds / daySeconds)], `${issuer}\n${jti}`);
}
