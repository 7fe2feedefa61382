import { AppError } from '#platform/errors.ts';
import type { Decision } from '#quota/table/decision.ts';

/** Adds the rate limit headers of atproto services to `headers`. */
export function addRateLimitHeaders(headers: Record<string, string>, decision: Decision): void {
  headers['RateLimit-Limit'] = String(decision.limit);
  headers['RateLimit-Remaining'] = String(decision.remaining);
  headers['RateLimit-Reset'] = String(decision.resetAtSeconds);
  headers['RateLimit-Policy'] = `${decision.limit};w=${decision.windowSeconds}`;
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
