import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { FuzzResponse } from './check-response.ts';
import type { FuzzRequest } from './fuzz-case.ts';
import type { FuzzMethod } from './lexicon-schema.ts';

/** Sends cases to one server over persistent connections. */
export interface CaseSender {
  send(method: FuzzMethod, request: FuzzRequest, token: string | undefined): Promise<FuzzResponse>;
  close(): void;
}

const timeoutMs = 20_000;
const upgradeHeaders = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'bmlnaHRqYXIgZnV6emluZw==',
};

export function createCaseSender(origin: string, inFlight: number): CaseSender {
  const { hostname, port } = new URL(origin);
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight, scheduling: 'fifo' });
  return {
    close: () => agent.destroy(),
    send: (method, request, token) =>
      new Promise((resolve) => {
        const startedMs = performance.now();
        const finish = (result: Omit<FuzzResponse, 'durationMs'>): void =>
          resolve({ ...result, durationMs: performance.now() - startedMs });
        const body = request.body === undefined ? undefined : Buffer.from(request.body);
        const outgoing = httpRequest({
          agent,
          hostname,
          port,
          method: request.verb,
          path: `/xrpc/${method.nsid}${request.search}`,
          headers: {
            ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
            ...(request.contentType === undefined ? {} : { 'Content-Type': request.contentType }),
            ...(request.verb === 'POST' ? { 'Content-Length': String(body?.length ?? 0) } : {}),
            ...(method.kind === 'subscription' ? upgradeHeaders : {}),
          },
          timeout: timeoutMs,
        });
        outgoing.once('timeout', () => outgoing.destroy(new Error('timed out')));
        outgoing.once('error', (error) => finish({ status: 0, contentType: undefined, text: error.message }));
        outgoing.once('upgrade', (response, socket) => {
          finish({ status: response.statusCode ?? 0, contentType: undefined, text: '' });
          socket.destroy();
        });
        outgoing.once('response', (response) => {
          readResponse(response).then(finish, (error: unknown) =>
            finish({ status: 0, contentType: undefined, text: `the response broke off: ${String(error)}` }),
          );
        });
        outgoing.end(body);
      }),
  };
}

/** Reads a response; closes a stream at once, because its status is the response. */
async function readResponse(response: IncomingMessage): Promise<Omit<FuzzResponse, 'durationMs'>> {
  const head = { status: response.statusCode ?? 0, contentType: response.headers['content-type'] };
  if (head.status === 200 && head.contentType?.startsWith('text/event-stream') === true) {
    response.destroy();
    return { ...head, text: '' };
  }
  return { ...head, text: await text(response) };
}
