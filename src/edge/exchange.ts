import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request, and the object that writes its response. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/** A whole response. A plain object, because objects of the Fetch API cost about 30 µs of CPU time for each request. */
export interface HttpResponse {
  readonly status: number;
  /** Without the security headers and Content-Length, which the edge adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** What responds to the valid requests. A promise of undefined means that the request has become a stream. */
export interface Routes {
  respond(exchange: Exchange): Promise<HttpResponse | undefined>;
  /** Whether the request may leave HTTP; every other request that asks for it gets a response as plain HTTP. */
  mayUpgrade(incoming: IncomingMessage): boolean;
  /** Responds to a request that may leave HTTP; `head` is what the client has sent after the request. */
  respondToUpgrade(exchange: Exchange, socket: Socket, head: Buffer): Promise<HttpResponse | undefined>;
}
