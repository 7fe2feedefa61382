import { ServerResponse } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';

/** Headers of every response, unless a response sets a different value for one of them. */
export const securityHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  // Browsers ignore this header unless a proxy adds TLS.
  'Strict-Transport-Security': 'max-age=31536000',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

type Given = OutgoingHttpHeaders | OutgoingHttpHeader[];

const security: OutgoingHttpHeaders = securityHeaders;
const namesInLowerCase: ReadonlyMap<string, string> = new Map(
  Object.keys(securityHeaders).map((name) => [name.toLowerCase(), name]),
);

/** Adds the security headers when the head is written, so that responses which Node itself writes have them too. */
export class SecuredResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  override writeHead(status: number, message?: string | Given, given?: Given): this {
    // All headers are written in one call, because `setHeader` for each of them would cost more CPU time than the rest
    // of the edge.
    if (typeof message === 'string') return super.writeHead(status, message, this.#secure(given));
    return super.writeHead(status, this.#secure(message));
  }

  #secure(given: Given = {}): OutgoingHttpHeaders {
    const own = Array.isArray(given) ? fromList(given) : given;
    const all = { ...security, ...own };
    for (const name of Object.keys(own)) this.#removeDefault(all, name);
    for (const name of this.getHeaderNames()) this.#removeDefault(all, name);
    return all;
  }

  #removeDefault(all: OutgoingHttpHeaders, name: string): void {
    const standardName = namesInLowerCase.get(name.toLowerCase());
    if (standardName !== undefined && standardName !== name) delete all[standardName];
  }
}

/**
 * Converts a list of alternating names and values, which is the form of headers in responses that Node itself creates.
 */
function fromList(list: readonly OutgoingHttpHeader[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let at = 0; at + 1 < list.length; at += 2) headers[String(list[at])] = list[at + 1];
  return headers;
}
