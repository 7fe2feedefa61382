import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { SecuredResponse } from './security-headers.ts';

/** A request, and the object that writes its response. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: SecuredResponse;
}

/**
 * A whole response that the edge writes. It is a plain object, because objects of the Fetch API cost about 30 µs of CPU
 * time for each request.
 */
export interface HttpResponse {
  readonly status: number;
  /** The headers without Content-Length and the security headers, which the edge adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** Responds to valid requests. A promise of undefined means that the request has become a stream. */
export interface Routes {
  respond(exchange: Exchange): Promise<HttpResponse | undefined>;
  /**
   * Returns whether the request may change to another protocol. A request for an upgrade that is not accepted gets an
   * ordinary HTTP response.
   */
  mayUpgrade(incoming: IncomingMessage): boolean;
  /**
   * Responds to a request that may change to another protocol. `head` contains the bytes that the client has sent after
   * the request.
   */
  respondToUpgrade(exchange: Exchange, socket: Socket, head: Buffer): Promise<HttpResponse | undefined>;
}
