import { AppError } from '#platform/errors.ts';
import type { Decision } from '#quota/table/decision.ts';

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

/** A refusal for want of room; its answer's headers are those of `decision`. */
export class LimitReached extends AppError<'RateLimitExceeded'> {
  readonly decision: Decision;

  constructor(decision: Decision, message: string) {
    super('RateLimitExceeded', message, { retryAfterSeconds: decision.retryAfterSeconds, limit: decision.name });
    this.decision = decision;
  }
}

/** The refusal of a request for which `decision` had no room. */
export function rateLimitExceeded(decision: Decision): LimitReached {
  const { name, limit, unit, windowSeconds } = decision;
  const message = `The limit ${name} allows ${limit} ${unit} in ${windowSeconds} seconds. Wait as long as Retry-After says.`;
  return new LimitReached(decision, message);
}
