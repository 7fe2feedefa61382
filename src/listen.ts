import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { HttpBindings, WebSocketServerLike } from '@hono/node-server';
import { WebSocketServer } from 'ws';
import type { Clock } from '#platform/clock.ts';
import type { OpenStream } from '#stream/serve-stream.ts';
import { refuseUpgrade, upgradeGate } from '#xrpc/upgrade.ts';
import type { App } from './app.ts';

/** A listening HTTP server. */
export interface Listener {
  readonly port: number;
  /** Takes no further connections, ends the streams with 1012 (soon also without their answer) and waits for running requests. */
  stop(): Promise<void>;
}

const headerSizeBytesMax = 32_768;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
/** Longer than a proxy keeps its side open, so that it never sends a request into a closing connection. */
const keepAliveTimeoutMs = 65_000;
const clientFrameSizeBytesMax = 4_096;
const goodbyeTimeoutMs = 2_000;
const stopPollMs = 50;

/**
 * Listens and then composes the app, because a free port is known only afterwards; requests cannot arrive in between.
 * @throws Error with code EADDRINUSE when the port is taken.
 */
export async function listen(
  where: { host: string; port: number; clock: Clock },
  compose: (port: number) => App,
): Promise<{ listener: Listener; app: App }> {
  const served: { app?: App } = {};
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: clientFrameSizeBytesMax,
  });
  const server = createAdaptorServer({
    fetch: (request, env) => {
      const response = served.app?.http.fetch(request, env) ?? new Response(null, { status: 503 });
      const { incoming, outgoing } = env as Partial<HttpBindings>;
      // A request that has left HTTP has nothing to answer with.
      return incoming !== undefined && outgoing === undefined ? answerUpgrade(incoming, response) : response;
    },
    createServer,
    serverOptions: {
      maxHeaderSize: headerSizeBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      shouldUpgradeCallback: (request) => served.app !== undefined && upgradeGate(served.app.endpoints)(request),
    },
    // The types differ only in how they write an absent option.
    websocket: { server: sockets as WebSocketServerLike },
  }) as Server;
  server.listen(where.port, where.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const app = compose(port);
  served.app = app;
  return { listener: { port, stop: () => stop(server, app.openStreams, where.clock) }, app };
}

async function answerUpgrade(request: IncomingMessage, answer: Response | Promise<Response>): Promise<Response> {
  const response = await answer;
  if (!response.ok) await refuseUpgrade(request, response);
  return response;
}

/** A peer that does not read would hold its socket open for as long as it likes. */
async function stop(server: Server, openStreams: ReadonlySet<OpenStream>, clock: Clock): Promise<void> {
  const ended = new AbortController();
  server.once('close', () => ended.abort());
  server.close();
  for (let waitedMs = 0; !ended.signal.aborted; waitedMs += stopPollMs) {
    for (const stream of openStreams) {
      if (waitedMs < goodbyeTimeoutMs) stream.goodbye();
      else stream.terminate();
    }
    server.closeIdleConnections();
    await clock.sleep(stopPollMs, ended.signal);
  }
}
