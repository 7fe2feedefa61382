import type { Endpoint } from '../endpoint.ts';
import type { XrpcRequest } from '../xrpc-request.ts';
import { rateLimitHeaders } from './rate-limit.ts';

/** Content type of every response except event streams. */
export const jsonType = 'application/json; charset=utf-8';

/** Headers of event streams, which replace those of other responses; nginx buffers events without the last one. */
export const eventStreamHeaders = {
  'Cache-Control': 'no-cache, no-store',
  'Content-Type': 'text/event-stream; charset=utf-8',
  'X-Accel-Buffering': 'no',
} as const;

/** Headers that every response to `request` has. */
export function responseHeaders({ requestId, decision }: XrpcRequest): Record<string, string> {
  return { 'Content-Type': jsonType, 'X-Request-Id': requestId, ...rateLimitHeaders(decision) };
}

/** The HTTP method that `endpoint` is called with. */
export function verbOf({ kind }: Endpoint): 'GET' | 'POST' {
  return kind === 'procedure' ? 'POST' : 'GET';
}
