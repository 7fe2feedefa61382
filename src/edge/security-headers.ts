import { ServerResponse } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';

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

type Given = OutgoingHttpHeaders | OutgoingHttpHeader[];

const security: OutgoingHttpHeaders = securityHeaders;
const namesInLowerCase: ReadonlyMap<string, string> = new Map(
  Object.keys(securityHeaders).map((name) => [name.toLowerCase(), name]),
);

/** An answer that gets the security headers where its head is written, so that those which Node writes by itself have them too. */
export class SecuredResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  override writeHead(status: number, message?: string | Given, given?: Given): this {
    // Set one by one beforehand, the headers would cost more than all else that is done for an answer here.
    if (typeof message === 'string') return super.writeHead(status, message, this.#secure(given));
    return super.writeHead(status, this.#secure(message));
  }

  #secure(given: Given = {}): OutgoingHttpHeaders {
    const own = Array.isArray(given) ? fromList(given) : given;
    const all = { ...security, ...own };
    for (const name of Object.keys(own)) this.#giveWay(all, name);
    for (const name of this.getHeaderNames()) this.#giveWay(all, name);
    return all;
  }

  #giveWay(all: OutgoingHttpHeaders, name: string): void {
    const usual = namesInLowerCase.get(name.toLowerCase());
    if (usual !== undefined && usual !== name) delete all[usual];
  }
}

/** Node gives its own answers as a list of names and values in turn. */
function fromList(list: readonly OutgoingHttpHeader[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let at = 0; at + 1 < list.length; at += 2) headers[String(list[at])] = list[at + 1];
  return headers;
}
