import { AppError } from '#platform/errors.ts';
import type { Decision } from '#quota/decision.ts';

/** The headers by which atproto services tell a client where it stands. */
export function rateLimitHeaders(decision: Decision | undefined): Record<string, string> {
  if (decision === undefined) return {};
  return {
    'RateLimit-Limit': String(decision.limit),
    'RateLimit-Remaining': String(decision.remaining),
    'RateLimit-Reset': String(decision.resetAtSeconds),
    'RateLimit-Policy': `${decision.limit};w=${decision.windowSeconds}`,
  };
}

/** The refusal of a request for which `decision` had no room. */
export function rateLimitExceeded(decision: Decision): AppError<'RateLimitExceeded'> {
  const { name, limit, unit, windowSeconds, retryAfterSeconds } = decision;
  const message = `The limit ${name} allows ${limit} ${unit} in ${windowSeconds} seconds. Wait as long as Retry-After says.`;
  return new AppError('RateLimitExceeded', message, { retryAfterSeconds, limit: name });
}
