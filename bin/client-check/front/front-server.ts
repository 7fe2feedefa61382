import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { CheckedClients } from '../checked-client.ts';
import type { CheckedClient } from '../checked-client.ts';
import { forward, forwardCall, headersOf } from './forward-call.ts';
import { forwardEventSource } from './forward-event-source.ts';
import { forwardSocket } from './forward-socket.ts';
import { methodOf, readBody, readCall } from './read-call.ts';

/** Where a service can be reached. */
export interface ServiceAddress {
  readonly url: string;
  readonly serviceDid: string;
}

/** The server that clients under test connect to. */
export interface FrontServer {
  readonly url: string;
  /** Records what this account does from now on. */
  addClient(did: string): CheckedClient;
  close(): Promise<void>;
}

/** Starts a server in front of `service` on a loopback port; it forwards everything, with the faults of each client. */
export async function startFrontServer(service: ServiceAddress, port = 0): Promise<FrontServer> {
  const clients = new CheckedClients(service.serviceDid);
  const serviceUrl = service.url;
  const server = createServer((incoming, response) => {
    // The client or the service has closed the connection.
    serve(clients, { incoming, response, serviceUrl }).catch(() => response.destroy());
  });
  server.on('upgrade', (incoming, socket, head) => forwardSocket(clients, { incoming, socket, head, serviceUrl }));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    addClient: (did) => clients.add(did),
    async close() {
      const closed = once(server, 'close');
      server.close();
      // With those that became WebSockets, which the server does not close.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(
  clients: CheckedClients,
  request: { readonly incoming: IncomingMessage; readonly response: ServerResponse; readonly serviceUrl: string },
): Promise<void> {
  const { incoming, response } = request;
  const toForward = { ...request, body: await readBody(incoming) };
  const method = methodOf(incoming);
  const call = method === undefined ? undefined : readCall(method, incoming, toForward.body);
  const client = call && clients.ofIssuer(call.claims?.iss);
  if (call === undefined || client === undefined) {
    const received = await forward(toForward);
    response.writeHead(received.status, headersOf(received)).end(Buffer.from(await received.arrayBuffer()));
    return;
  }
  if (incoming.method !== 'OPTIONS') client.record.calls.push(call);
  if (call.method === 'streamConvoEvents') await forwardEventSource(client, toForward);
  else await forwardCall(call, client, clients, toForward);
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
