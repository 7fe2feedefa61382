import { AppError } from '#platform/errors.ts';
import type { Decision } from '#quota/table/decision.ts';

/** Returns the rate limit headers of atproto services. */
export function rateLimitHeaders(decision: Decision | undefined): Record<string, string> {
  if (decision === undefined) return {};
  return {
    'RateLimit-Limit': String(decision.limit),
    'RateLimit-Remaining': String(decision.remaining),
    'RateLimit-Reset': String(decision.resetAtSeconds),
    'RateLimit-Policy': `${decision.limit};w=${decision.windowSeconds}`,
  };
}

/** The error RateLimitExceeded with the decision from which the rate limit headers of the response are made. */
export class LimitReached extends AppError<'RateLimitExceeded'> {
  readonly decision: Decision;

  constructor(decision: Decision, message: string) {
    super('RateLimitExceeded', message, { retryAfterSeconds: decision.retryAfterSeconds, limit: decision.name });
    this.decision = decision;
  }
}

/** Creates the error of a request that `decision` refuses. */
export function rateLimitExceeded(decision: Decision): LimitReached {
  const { name, limit, unit, windowSeconds } = decision;
  const message = `The limit ${name} allows ${limit} ${unit} in ${windowSeconds} seconds. Wait as long as Retry-After says.`;
  return new LimitReached(decision, message);
}
