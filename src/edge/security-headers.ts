import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';

/** On every answer of the service, whoever writes it; an answer may give one of them a value of its own. */
export const securityHeaders = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  // Browsers heed it over TLS only, so the proxy in front passes it on.
  'Strict-Transport-Security': 'max-age=31536000',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** An answer that has the security headers from the start, so that those which Node writes by itself have them too. */
export class SecuredResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  constructor(...given: ConstructorParameters<typeof ServerResponse<Request>>) {
    super(...given);
    for (const [name, value] of Object.entries(securityHeaders)) this.setHeader(name, value);
  }
}
