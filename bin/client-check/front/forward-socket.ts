import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import { WebSocket, WebSocketServer } from 'ws';
import { readFrame } from '#client/stream/frame.ts';
import { errorFrame } from '#stream/frames.ts';
import type { CheckedClient, CheckedClients } from '../checked-client.ts';
import type { StreamRecord } from '../record.ts';
import { searchOf } from './read-call.ts';
import { StreamRelay } from './stream-relay.ts';
import type { StreamOutput } from './stream-relay.ts';

const path = '/xrpc/blue.catbird.mls.subscribeConvoEvents';
const tooSlow = 'The subscriber did not read fast enough. Reconnect with the last cursor.';

export interface SocketToForward {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  /** URL of the service behind the check. */
  readonly serviceUrl: string;
}

const server = new WebSocketServer({ noServer: true });

/** Records a connection that the client under test opens. */
export function noteStream(
  client: CheckedClient,
  transport: StreamRecord['transport'],
  search: URLSearchParams,
): StreamRecord {
  const { deliveries, streams } = client.record;
  const record: StreamRecord = {
    transport,
    ticket: search.get('ticket') ?? undefined,
    cursor: search.get('cursor') ?? undefined,
    startedMs: performance.now(),
    isRefused: false,
    endedMs: undefined,
    deliveriesBefore: deliveries.length,
  };
  streams.push(record);
  return record;
}

/** Opens a WebSocket to the service for the client, and relays what arrives on it. */
export function forwardSocket(clients: CheckedClients, toForward: SocketToForward): void {
  const { incoming, socket, serviceUrl } = toForward;
  socket.on('error', () => socket.destroy());
  const search = searchOf(incoming);
  const client = clients.ofTicket(search.get('ticket') ?? '');
  const record = client && noteStream(client, 'websocket', search);
  if (client?.faults.streams.isRefusing === true) {
    if (record !== undefined) endAsRefused(record);
    refuse(socket, 503, '{"error":"ServiceUnavailable","message":"Try again as Retry-After says."}');
    return;
  }
  const foreign = client?.faults.streams.foreignCursor;
  if (foreign !== undefined) search.set('cursor', foreign);
  const upstream = new WebSocket(`${serviceUrl.replace(/^http/, 'ws')}${path}?${search.toString()}`);
  upstream.on('error', () => socket.destroy());
  upstream.on('unexpected-response', (_request, response) => {
    if (record !== undefined) endAsRefused(record);
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    response.on('end', () => refuse(socket, response.statusCode ?? 503, text));
  });
  upstream.on('open', () =>
    server.handleUpgrade(incoming, socket, toForward.head, (downstream) => {
      const relay = client && record && new StreamRelay(client, record, outputTo(downstream, upstream));
      connect(upstream, downstream, relay);
    }),
  );
}

function endAsRefused(record: StreamRecord): void {
  record.isRefused = true;
  record.endedMs = performance.now();
}

function refuse(socket: Duplex, status: number, body: string): void {
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(status === 503 ? ['Retry-After: 1'] : []),
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

function connect(upstream: WebSocket, downstream: WebSocket, relay: StreamRelay | undefined): void {
  upstream.on('message', (data: Buffer) => {
    const frame = relay && readFrame(data);
    if (relay !== undefined && frame !== undefined && '$type' in frame) relay.receive(frame);
    else downstream.send(data, { binary: true });
  });
  downstream.on('message', (data: Buffer, isBinary) => {
    if (upstream.readyState === WebSocket.OPEN) upstream.send(data, { binary: isBinary });
  });
  downstream.on('error', () => downstream.terminate());
  downstream.on('close', () => {
    relay?.end();
    upstream.terminate();
  });
  upstream.on('close', (code) => {
    relay?.end();
    // 1005 and 1006 say that no code was sent, and cannot be sent themselves.
    if (code === 1005 || code === 1006) downstream.terminate();
    else downstream.close(code);
  });
}

function outputTo(downstream: WebSocket, upstream: WebSocket): StreamOutput {
  const end = (): void => upstream.terminate();
  return {
    send(event, cursor) {
      const type = event.$type.slice(event.$type.indexOf('#'));
      // An event of the service is a value of the data model; only its type here does not say so.
      const body = { ...event, cursor } as unknown as LexValue;
      downstream.send(Buffer.concat([encode({ op: 1, t: type }), encode(body)]), { binary: true });
    },
    cut() {
      downstream.terminate();
      end();
    },
    endAsTooSlow() {
      downstream.send(errorFrame('ConsumerTooSlow', tooSlow), { binary: true });
      downstream.close(1008, 'ConsumerTooSlow');
      end();
    },
  };
}
