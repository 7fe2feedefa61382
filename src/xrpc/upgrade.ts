import { STATUS_CODES } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { upgradeWebSocket } from '@hono/node-server';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { WebSocket } from 'ws';
import { securityHeaders } from '#edge/security-headers.ts';
import { InvariantError } from '#platform/errors.ts';
import type { Endpoint, SocketTaker } from './endpoint.ts';

/** Whether the request came with the right to become a WebSocket; what merely asks for it is plain HTTP. */
export function hasLeftHttp(context: Context<{ Bindings: HttpBindings }>): boolean {
  const { outgoing }: Partial<HttpBindings> = context.env;
  return outgoing === undefined;
}

const keyForm = /^[+/0-9A-Za-z]{22}==$/;

/** Whether the client asks for a WebSocket as RFC 6455 section 4.1 has it; ws would answer others in its own words. */
function isUpgrade({ headers }: IncomingMessage): boolean {
  const isAsked = headers.upgrade?.toLowerCase() === 'websocket';
  return isAsked && headers['sec-websocket-version'] === '13' && keyForm.test(headers['sec-websocket-key'] ?? '');
}

/**
 * Which requests may leave HTTP: pass it to the server as `shouldUpgradeCallback`. Every other request that asks for an upgrade
 * is answered as plain HTTP; without this its socket would stay open unanswered.
 */
export function upgradeGate(endpoints: readonly Endpoint[]): (request: IncomingMessage) => boolean {
  const paths = new Set(endpoints.filter(({ kind }) => kind === 'subscription').map(({ nsid }) => `/xrpc/${nsid}`));
  return (request) => request.method === 'GET' && isUpgrade(request) && paths.has(request.url?.split('?', 1)[0] ?? '');
}

/** Answers 101 with `headers`, and gives the socket to `take` when it is open. */
export async function upgrade(
  context: Context<{ Bindings: HttpBindings }>,
  take: SocketTaker,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const response = await upgradeWebSocket(context, {
    onOpen(_event, { raw }) {
      if (!(raw instanceof WebSocket)) throw new InvariantError('the server was started without ws');
      take(raw);
    },
  });
  for (const [name, value] of Object.entries({ ...securityHeaders, ...headers })) {
    if (name !== 'Content-Type') response.headers.set(name, value);
  }
  return response;
}

const securityLines = Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`);
const securityNames: ReadonlySet<string> = new Set(Object.keys(securityHeaders).map((name) => name.toLowerCase()));

/**
 * Writes a refusal of an upgrade with its body and ends the connection. The HTTP server would send status and headers only, and
 * leaves a socket alone that is destroyed.
 */
export async function refuseUpgrade(request: IncomingMessage, refusal: Response): Promise<void> {
  const { socket } = request;
  const body = await refusal.text();
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...securityLines,
    ...[...refusal.headers]
      .filter(([name]) => name !== 'connection' && !securityNames.has(name))
      .map(([name, value]) => `${name}: ${value}`),
  ];
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => resolve());
  });
  socket.destroy();
}
