import { authErrors } from '#auth/auth-error.ts';
import { statuses } from './respond.ts';
import type { Refusal } from './respond.ts';

const realm = 'Bearer realm="nightjar"';
const descriptions: ReadonlyMap<string, string> = new Map(Object.entries(authErrors));

/**
 * `WWW-Authenticate` of a refusal (RFC 6750 section 3), which 401 must carry; undefined for other statuses. Every text is fixed.
 * Somebody who sent no token is told no error; `name` is atproto's word for what the RFC has one word for.
 */
export function challengeOf({ status, name }: Pick<Refusal, 'status' | 'name'>): string | undefined {
  if (status !== statuses.AuthMissing) return undefined;
  if (name === 'AuthMissing') return realm;
  const description = descriptions.get(name) ?? 'The ticket is missing, expired or used. Get a new one.';
  return `${realm}, error="invalid_token", error_description="${description}", name="${name}"`;
}
