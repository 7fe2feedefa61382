import { authErrors } from '#auth/auth-error.ts';
import { statuses } from './statuses.ts';

const realm = 'Bearer realm="nightjar"';
const descriptions: ReadonlyMap<string, string> = new Map(Object.entries(authErrors));

/**
 * Returns the `WWW-Authenticate` header of an error, which status 401 requires (RFC 6750 section 3), or undefined for
 * other statuses. A request without a token gets no error code (RFC 6750 section 3.1). `name` is the atproto error,
 * because the RFC has one code for all of them. Every text is fixed.
 */
export function wwwAuthenticate(status: number, name: string): string | undefined {
  if (status !== statuses.AuthMissing) return undefined;
  if (name === 'AuthMissing') return realm;
  const description = descriptions.get(name) ?? 'The ticket is missing, expired or used. Get a new one.';
  return `${realm}, error="invalid_token", error_description="${description}", name="${name}"`;
}
