import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createConnectionGate } from '#edge/connection-gate.ts';
import { createCorsPolicy } from '#edge/cors.ts';
import { edgeErrorResponse } from '#edge/edge-error.ts';
import type { EdgeErrorCode } from '#edge/edge-error.ts';
import { Edge } from '#edge/edge.ts';
import type { EdgeDeps, Routes } from '#edge/edge.ts';
import type { HttpResponse } from '#edge/exchange.ts';
import { SecuredResponse } from '#edge/security-headers.ts';
import { edgeTimeouts } from '#edge/timeouts.ts';
import type { EdgeTimeouts } from '#edge/timeouts.ts';
import type { Clock } from '#platform/clock.ts';
import type { Config } from '#platform/config/config.ts';
import { limits } from '#platform/limits.ts';
import { describeError } from '#platform/logging/logger.ts';
import type { Logger } from '#platform/logging/logger.ts';
import { createAddressList } from '#quota/client-address/address-lists.ts';
import type { OpenStream } from '#stream/serve-stream.ts';
import { createWebSocketServer, webSocketFilter, webSocketOpener } from '#xrpc/websocket-upgrade.ts';
import { isXrpc } from '#xrpc/xrpc-request.ts';
import type { App } from './app.ts';

/** A listening HTTP server. */
export interface Listener {
  readonly port: number;
  /** Takes no further connections, ends the streams with 1012 (soon also without their answer) and waits for running requests. */
  stop(): Promise<void>;
}

/** The parts of an app that serve requests. */
export type Served = Pick<App, 'respondToXrpc' | 'http' | 'endpoints' | 'openStreams'>;

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: Pick<
    Config,
    | 'NODE_ENV'
    | 'MAX_CONNECTIONS'
    | 'MAX_CONNECTIONS_PER_ADDRESS'
    | 'MAX_CONNECTIONS_PER_SECOND'
    | 'TRUSTED_PROXY_CIDRS'
    | 'TRUSTED_PROXY_HEADER'
    | 'CORS_ALLOW_ORIGINS'
  >;
  /** Default: those that clients know. */
  readonly timeouts?: EdgeTimeouts;
}

/** Of the request line, which Node counts among the headers. */
const requestLineSizeBytes = 64;
const goodbyeTimeoutMs = 2_000;
const stopPollMs = 50;

/**
 * Listens and then composes the app, because a free port is known only afterwards; requests cannot arrive in between.
 * @throws Error with code EADDRINUSE when the port is taken.
 */
export async function listen<Composed extends Served>(
  options: ListenOptions,
  compose: (port: number) => Composed,
): Promise<{ listener: Listener; app: Composed }> {
  const { clock, logger, timeouts = edgeTimeouts } = options;
  const edge = new Edge({
    ...edgePolicy(options),
    clock,
    timeouts,
    onError: (error) => logFailure(logger, error),
  });
  const server = createServer(serverOptions(timeouts, edge));
  server.maxConnections = options.config.MAX_CONNECTIONS;
  server.timeout = timeouts.drainMs;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const app = compose(port);
  edge.attach(server, routesOf(app, { edge, server, logger }));
  return { listener: { port, stop: () => stop(server, app.openStreams, clock) }, app };
}

/** XRPC requests go to `src/xrpc`, all others to Hono; the edge writes the responses of both. */
function routesOf(app: Served, { edge, server, logger }: { edge: Edge; server: Server; logger: Logger }): Routes {
  const serveWithHono = honoListener(app.http, edge, logger);
  const webSockets = createWebSocketServer();
  server.once('close', () => webSockets.close());
  return {
    serve(exchange) {
      if (isXrpc(exchange.incoming)) void edge.respond(exchange, app.respondToXrpc(exchange));
      else serveWithHono(exchange.incoming, exchange.outgoing);
    },
    mayUpgrade: webSocketFilter(app.endpoints),
    upgrade({ incoming, outgoing }, socket, head) {
      const openWebSocket = webSocketOpener(webSockets, { incoming, outgoing, socket, head });
      void edge.respond({ incoming, outgoing }, app.respondToXrpc({ incoming, outgoing, openWebSocket }));
    },
  };
}

/** Serves with Hono. The edge writes the responses, because Hono's adapter sends the texts of errors that arise in writing. */
function honoListener(http: Served['http'], edge: Edge, logger: Logger): RequestListener {
  http.notFound(() => errorPage('NotFound'));
  http.onError((error) => {
    logFailure(logger, error);
    return errorPage('InternalServerError');
  });
  const listener = getRequestListener(
    async (request, env) => {
      const { incoming, outgoing } = env as HttpBindings;
      await edge.respond({ incoming, outgoing }, readResponse(http.fetch(request, env)));
      return RESPONSE_ALREADY_SENT;
    },
    // The edge reads the rest of a request that was refused, at the pace of the client.
    { autoCleanupIncoming: false },
  );
  return (incoming, outgoing) => {
    // No route depends on the host, and the adapter refuses unusual ones without a body.
    incoming.headers.host = 'localhost';
    void listener(incoming, outgoing);
  };
}

function errorPage(code: EdgeErrorCode): Response {
  const { status, headers, body } = edgeErrorResponse(code);
  const { Connection: _kept, ...kept } = headers;
  return new Response(body, { status, headers: kept });
}

async function readResponse(pending: Response | Promise<Response>): Promise<HttpResponse> {
  const response = await pending;
  const body = Buffer.from(await response.arrayBuffer());
  const { 'content-length': _counted, ...headers } = Object.fromEntries(response.headers);
  return { status: response.status, headers, body };
}

/** Connections that carry many clients are not counted by address: those of trusted proxies, and outside production those of this machine. */
function edgePolicy({ config, clock }: ListenOptions): Pick<EdgeDeps, 'gate' | 'cors' | 'forwardedHeader'> {
  const exempt = config.NODE_ENV === 'production' ? [] : ['127.0.0.0/8', '::1'];
  const isExempt = createAddressList([...config.TRUSTED_PROXY_CIDRS, ...exempt], 'TRUSTED_PROXY_CIDRS');
  const limits = {
    perAddressMax: config.MAX_CONNECTIONS_PER_ADDRESS,
    perSecondMax: config.MAX_CONNECTIONS_PER_SECOND,
    prefixesMax: 2 * config.MAX_CONNECTIONS,
  };
  return {
    gate: createConnectionGate({ clock, limits, isExempt }),
    cors: createCorsPolicy(config.CORS_ALLOW_ORIGINS),
    forwardedHeader: config.TRUSTED_PROXY_HEADER.toLowerCase(),
  };
}

function serverOptions(timeouts: EdgeTimeouts, edge: Edge): ServerOptions {
  return {
    ServerResponse: SecuredResponse,
    shouldUpgradeCallback: (incoming) => edge.mayUpgrade(incoming),
    insecureHTTPParser: false,
    maxHeaderSize: limits.urlLengthMax + limits.headersSizeBytesMax + requestLineSizeBytes,
    // A missing one is refused with the others, and with a body.
    requireHostHeader: false,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkEveryMs,
    keepAliveTimeout: timeouts.keepAliveMs,
  };
}

function logFailure(logger: Logger, error: unknown): void {
  logger.log('background_failed', { part: 'listener', ...describeError(error) });
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
