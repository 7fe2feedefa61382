import type { IncomingMessage, ServerResponse } from 'node:http';

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
