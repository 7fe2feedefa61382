import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Exchange } from '#edge/exchange.ts';
import { securityHeaders } from '#edge/security-headers.ts';
import { limits } from '#platform/limits.ts';
import type { Endpoint, ServeWebSocket } from './endpoint.ts';

/**
 * Responds 101 with `headers` and passes the open WebSocket to `serve`. Does neither when the client has disconnected.
 */
export type OpenWebSocket = (headers: Readonly<Record<string, string>>, serve: ServeWebSocket) => void;

const keyForm = /^[+/0-9A-Za-z]{22}==$/;

/**
 * Returns whether the request is a valid handshake (RFC 6455 section 4.1). Other requests must not reach ws, which
 * would respond with error texts that the API does not have.
 */
function isHandshake({ method, headers }: IncomingMessage): boolean {
  const isWebSocket = method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
  return isWebSocket && headers['sec-websocket-version'] === '13' && keyForm.test(headers['sec-websocket-key'] ?? '');
}

/**
 * Returns a filter for requests that may become WebSockets, which are valid handshakes at the path of a subscription.
 */
export function webSocketFilter(endpoints: readonly Endpoint[]): (incoming: IncomingMessage) => boolean {
  const paths = new Set(endpoints.filter(({ kind }) => kind === 'subscription').map(({ nsid }) => `/xrpc/${nsid}`));
  return (incoming) => isHandshake(incoming) && paths.has(incoming.url?.split('?', 1)[0] ?? '');
}

/**
 * Creates a WebSocket server without a port. It responds to pings only while the client reads, because ws would queue
 * pongs without a limit.
 */
export function createWebSocketServer(): WebSocketServer {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.clientFrameSizeBytesMax,
    autoPong: false,
  });
  return server.on('connection', (socket) => {
    socket.on('ping', (data) => {
      if (socket.bufferedAmount > limits.subscriberBacklogSizeBytesMax) socket.terminate();
      else socket.pong(data);
    });
  });
}

export interface UpgradeRequest extends Exchange {
  readonly socket: Socket;
  /** Bytes that the client has sent after the request. */
  readonly head: Buffer;
}

/** Returns a function that completes the handshake of `request` on `server` when the endpoint has accepted it. */
export function webSocketOpener(server: WebSocketServer, request: UpgradeRequest): OpenWebSocket {
  const { incoming, outgoing, socket, head } = request;
  return (headers, serve) => {
    const lines = Object.entries({ ...securityHeaders, ...headers })
      .filter(([name]) => name !== 'Content-Type')
      .map(([name, value]) => `${name}: ${value}`);
    const addHeaders = (sent: string[]): void => void sent.push(...lines);
    // The listener sees only this handshake, because ws emits `headers` before `handleUpgrade` returns.
    server.on('headers', addHeaders);
    outgoing.detachSocket(socket);
    try {
      server.handleUpgrade(incoming, socket, head, (webSocket) => {
        server.emit('connection', webSocket, incoming);
        serve(webSocket);
      });
    } finally {
      server.off('headers', addHeaders);
    }
  };
}
