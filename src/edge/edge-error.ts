import { STATUS_CODES } from 'node:http';
import type { HttpResponse } from './exchange.ts';
import { securityHeaders } from './security-headers.ts';

/** Errors of requests that reach no XRPC method, so no lexicon declares these errors. */
export const edgeErrors = {
  ExpectationFailed: [417, 'The only expectation that can be met is 100-continue.'],
  HeadersTooLarge: [431, 'The headers are too many or too long.'],
  InternalServerError: [500, 'Something went wrong on the server. Try again later.'],
  InvalidRequest: [400, 'The request is not HTTP/1.1 in its plain form: one Host, one framing, a path as target.'],
  MethodNotAllowed: [405, 'The HTTP method has no use here.'],
  NotFound: [404, 'There is nothing at this path.'],
  OriginNotAllowed: [403, 'Pages of this origin may not open streams.'],
  PayloadTooLarge: [413, 'The body is larger than the service accepts.'],
  RequestTimeout: [408, 'The request did not arrive in time.'],
  UriTooLong: [414, 'The URL is too long. Ask for fewer things at once.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

export type EdgeErrorCode = keyof typeof edgeErrors;

/** Returns the response for the error `code`, after which the connection closes. */
export function edgeErrorResponse(code: EdgeErrorCode): HttpResponse {
  const [status, message] = edgeErrors[code];
  const body = JSON.stringify({ error: code, message });
  const headers = {
    ...securityHeaders,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...(code === 'MethodNotAllowed' ? { Allow: 'GET, HEAD, POST, OPTIONS' } : {}),
  };
  return { status, headers, body };
}

/** Returns the response for the error `code` as HTTP/1.1 text, for a connection whose request Node's parser rejects. */
export function edgeErrorText(code: EdgeErrorCode): string {
  const { status, headers, body } = edgeErrorResponse(code);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n');
}
