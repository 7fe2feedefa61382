import type { Endpoint } from '../endpoint.ts';
import type { XrpcRequest } from '../xrpc-request.ts';
import { addRateLimitHeaders } from './rate-limit.ts';

/** Content type of every response except event streams. */
export const jsonType = 'application/json; charset=utf-8';

/**
 * Headers of event streams, which replace those of other responses. `X-Accel-Buffering` prevents nginx from buffering
 * the events.
 */
export const eventStreamHeaders = {
  'Cache-Control': 'no-cache, no-store',
  'Content-Type': 'text/event-stream; charset=utf-8',
  'X-Accel-Buffering': 'no',
} as const;

/** Returns the headers that every response to `request` has. */
export function responseHeaders({ requestId, decision }: XrpcRequest): Record<string, string> {
  const headers: Record<string, string> = { 'Content-Type': jsonType, 'X-Request-Id': requestId };
  if (decision !== undefined) addRateLimitHeaders(headers, decision);
  return headers;
}

/** Returns the HTTP method with which `endpoint` is called. */
export function verbOf({ kind }: Endpoint): 'GET' | 'POST' {
  return kind === 'procedure' ? 'POST' : 'GET';
}
