import { authErrors } from '#auth/auth-error.ts';
import { statuses } from './statuses.ts';

const realm = 'Bearer realm="nightjar"';
const descriptions: ReadonlyMap<string, string> = new Map(Object.entries(authErrors));

/**
 * `WWW-Authenticate` of an error (RFC 6750 section 3), which status 401 requires; undefined for other statuses. Every text is fixed.
 * A request without a token gets no error code (RFC 6750 section 3.1); `name` is the atproto error, because the RFC has one code for
 * all of them.
 */
export function wwwAuthenticate(status: number, name: string): string | undefined {
  if (status !== statuses.AuthMissing) return undefined;
  if (name === 'AuthMissing') return realm;
  const description = descriptions.get(name) ?? 'The ticket is missing, expired or used. Get a new one.';
  return `${realm}, error="invalid_token", error_description="${description}", name="${name}"`;
}
