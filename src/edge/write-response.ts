import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { discardBody, waitUntilQuiet } from './discard-body.ts';
import type { LingerDeps } from './discard-body.ts';
import { edgeErrorResponse, edgeErrorText } from './edge-error.ts';
import type { EdgeErrorCode } from './edge-error.ts';
import type { Exchange, HttpResponse } from './exchange.ts';
import { SecuredResponse } from './security-headers.ts';

/**
 * Writes a whole response. With `Connection: close` the rest of the request is read before the connection closes.
 * @returns undefined, or a promise to await when the connection closes after this response.
 * @throws Error when a header is not valid.
 */
export function writeResponse(deps: LingerDeps, exchange: Exchange, response: HttpResponse): Promise<void> | undefined {
  const { incoming, outgoing } = exchange;
  if (outgoing.destroyed || outgoing.headersSent) return undefined;
  const { status, headers, body } = response;
  const mayHaveBody = status !== 204 && status !== 304;
  outgoing.writeHead(status, mayHaveBody ? { ...headers, 'Content-Length': Buffer.byteLength(body) } : headers);
  const sent = mayHaveBody && incoming.method !== 'HEAD' ? body : '';
  if (closesConnection(response)) return closeAfter(deps, exchange, sent);
  // A single call sends the head and the body in one packet.
  outgoing.end(sent);
  return undefined;
}

/** Returns whether the connection closes after `response`. */
export function closesConnection({ headers }: HttpResponse): boolean {
  return headers['Connection'] === 'close' || headers['connection'] === 'close';
}

async function closeAfter(deps: LingerDeps, { incoming, outgoing }: Exchange, body: string | Buffer): Promise<void> {
  outgoing.write(body);
  await discardBody(deps, incoming);
  outgoing.end();
}

/** Writes the error `code` after the responses to earlier requests of the connection, and closes the connection. */
export async function writeError(
  deps: LingerDeps,
  { incoming, outgoing }: Exchange,
  code: EdgeErrorCode,
): Promise<void> {
  const { status, headers, body } = edgeErrorResponse(code);
  outgoing.writeHead(status, headers);
  if (incoming.method !== 'HEAD') outgoing.write(body);
  await discardBody(deps, incoming);
  outgoing.end();
}

/**
 * Writes the error `code` directly to the socket of a connection whose request cannot be read any further, and closes
 * the connection.
 */
export async function writeErrorToSocket(deps: LingerDeps, socket: Socket, code: EdgeErrorCode): Promise<void> {
  if (socket.destroyed) return;
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  socket.end(edgeErrorText(code));
  await waitUntilQuiet(deps, socket, closed.signal);
  socket.destroy();
}

/**
 * Creates a response to an upgrade request, because Node creates none. The connection closes after the response; call
 * `detachSocket` before the socket is used for another protocol.
 */
export function createUpgradeResponse(incoming: IncomingMessage, socket: Socket): SecuredResponse {
  const outgoing = new SecuredResponse(incoming);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket);
  outgoing.once('finish', () => socket.destroySoon());
  return outgoing;
}
