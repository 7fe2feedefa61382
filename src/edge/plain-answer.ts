import type { ServerResponse } from 'node:http';

/** A whole answer. Objects of the Fetch API take longer to make and to read again than most answers take to find. */
export interface PlainAnswer {
  readonly status: number;
  /** Without the security headers and the length, which are added where it is written. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** What the router carries along with a request. */
export interface Answerable {
  /** Absent for a request that has left HTTP. */
  readonly outgoing?: ServerResponse;
  /** Goes past the router to whoever writes it. */
  answer?: PlainAnswer;
}

/** What the router is given in the place of an answer that goes past it. */
export const handedOver = new Response(null);

/** Everything of `response`, which is read to its end. */
export async function plainAnswer(response: Response): Promise<PlainAnswer> {
  const body = Buffer.from(await response.arrayBuffer());
  const { 'content-length': _counted, ...headers } = Object.fromEntries(response.headers);
  return { status: response.status, headers, body };
}
