import type { Exchange, HttpResponse } from './exchange.ts';

/**
 * Decides which web origins may read responses in a browser. Without allowed origins, no response has a CORS header.
 */
export interface CorsPolicy {
  /** Returns the names and values, alternating, of the CORS headers of every response to a request with this `Origin`. */
  headersFor(origin: string | undefined): readonly string[];
  isAllowed(origin: string): boolean;
}

const allowOrigin = 'Access-Control-Allow-Origin';

const exposedHeaders = [
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
].join(', ');

/** The response to a preflight request, without the headers of `CorsPolicy.headersFor`. */
export const preflightResponse: HttpResponse = {
  status: 204,
  headers: {
    'Access-Control-Allow-Methods': 'GET, POST',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Last-Event-ID',
    'Access-Control-Max-Age': '7200',
  },
  body: '',
};

/**
 * Creates a policy that allows exactly the listed origins, never `*`, and no credentials, because the service has no
 * cookies. Hono's middleware is not used, because its headers do not reach event streams and it sends the exposed
 * headers to every origin.
 */
export function createCorsPolicy(origins: readonly string[]): CorsPolicy {
  const allowed = new Set(origins);
  const always: readonly string[] = allowed.size === 0 ? [] : ['Vary', 'Origin'];
  return {
    isAllowed: (origin) => allowed.has(origin),
    headersFor(origin) {
      if (origin === undefined || !allowed.has(origin)) return always;
      return [...always, allowOrigin, origin, 'Access-Control-Expose-Headers', exposedHeaders];
    },
  };
}

/** Returns whether the request is a preflight from an allowed origin. */
export function isPreflight({ incoming, outgoing }: Exchange): boolean {
  const { method, headers } = incoming;
  const isPreflightMethod = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
  return isPreflightMethod && outgoing.corsHeaders.includes(allowOrigin);
}
