import type { Exchange, HttpResponse } from './exchange.ts';

type CorsHeader = readonly [name: string, value: string];

/** Which pages of other origins may read answers, and what they may send. Without origins there is nothing to say. */
export interface CorsPolicy {
  /** For every answer to a request with this `Origin`. */
  headersFor(origin: string | undefined): readonly CorsHeader[];
  isAllowed(origin: string): boolean;
}

const exposedHeaders = [
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
].join(', ');

/** The response to a preflight; the edge adds the origin, as to every response. */
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
 * A policy of exact origins. There are no cookies, hence no credentials mode; `*` is never sent. Set on Node's response and not by
 * hono's middleware, whose headers would not reach event streams, and which names exposed headers to every origin.
 */
export function createCorsPolicy(origins: readonly string[]): CorsPolicy {
  const allowed = new Set(origins);
  const stranger: readonly CorsHeader[] = allowed.size === 0 ? [] : [['Vary', 'Origin']];
  return {
    isAllowed: (origin) => allowed.has(origin),
    headersFor(origin) {
      if (origin === undefined || !allowed.has(origin)) return stranger;
      return [...stranger, ['Access-Control-Allow-Origin', origin], ['Access-Control-Expose-Headers', exposedHeaders]];
    },
  };
}

/** Whether a browser asks what a page of an allowed origin may send. */
export function isPreflight({ incoming, outgoing }: Exchange): boolean {
  const { method, headers } = incoming;
  const asks = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
  return asks && outgoing.hasHeader('Access-Control-Allow-Origin');
}
