import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { HttpBindings, WebSocketServerLike } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { WebSocketServer } from 'ws';
import { createConnectionGate } from '#edge/connection-gate.ts';
import { createCorsPolicy } from '#edge/cors.ts';
import { edgeRefusal } from '#edge/edge-error.ts';
import type { EdgeErrorCode } from '#edge/edge-error.ts';
import { Edge } from '#edge/edge.ts';
import type { EdgeDeps } from '#edge/edge.ts';
import { plainAnswer } from '#edge/plain-answer.ts';
import type { Answerable } from '#edge/plain-answer.ts';
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
import { shedRequest } from '#xrpc/shed-request.ts';
import { refuseUpgrade, upgradeGate } from '#xrpc/upgrade.ts';
import type { App } from './app.ts';

/** A listening HTTP server. */
export interface Listener {
  readonly port: number;
  /** Takes no further connections, ends the streams with 1012 (soon also without their answer) and waits for running requests. */
  stop(): Promise<void>;
}

/** What is served. */
export type Served = Pick<App, 'http' | 'endpoints' | 'openStreams' | 'admission'>;

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
  const served: { app?: Composed } = {};
  const { clock, logger, timeouts = edgeTimeouts } = options;
  const edge = new Edge({
    ...edgePolicy(options),
    clock,
    timeouts,
    shed: (incoming, outgoing) => served.app !== undefined && shedRequest(served.app.admission, incoming, outgoing),
    onError: (error) => logFailure(logger, error),
  });
  const mayUpgrade = (request: IncomingMessage): boolean =>
    served.app !== undefined && upgradeGate(served.app.endpoints)(request) && edge.mayUpgrade(request);
  const server = createAdaptorServer({
    fetch: async (request, env) => {
      const response = await (served.app?.http.fetch(request, env) ?? new Response(null, { status: 503 }));
      const { incoming, outgoing, answer } = env as (HttpBindings | UpgradeBindings) & Answerable;
      // A request that has left HTTP has nothing to answer with.
      if (outgoing === undefined) return answerUpgrade(incoming, response);
      if (answer !== undefined) await edge.answer({ incoming, outgoing }, answer);
      else if (response !== RESPONSE_ALREADY_SENT) await edge.answer({ incoming, outgoing }, plainAnswer(response));
      // The adapter gets nothing to write: an error that arose in it would be printed and sent with its text.
      return RESPONSE_ALREADY_SENT;
    },
    // The edge reads what is left of a request that was answered, at the pace of the client.
    autoCleanupIncoming: false,
    createServer: ((serverOptions: ServerOptions, serve: RequestListener) => {
      const inner = createServer(serverOptions);
      edge.attach(inner, serve);
      return inner;
    }) as typeof createServer,
    serverOptions: { ...serverOptions(timeouts), shouldUpgradeCallback: mayUpgrade },
    // The types differ only in how they write an absent option.
    websocket: { server: webSocketServer() as WebSocketServerLike },
  }) as Server;
  server.maxConnections = options.config.MAX_CONNECTIONS;
  server.timeout = timeouts.drainMs;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const app = compose(port);
  answerStrangePaths(app.http, logger);
  served.app = app;
  return { listener: { port, stop: () => stop(server, app.openStreams, clock) }, app };
}

interface UpgradeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: undefined;
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

function serverOptions(timeouts: EdgeTimeouts): ServerOptions {
  return {
    ServerResponse: SecuredResponse,
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

/** Pings are answered as long as the answers are read: ws would keep them all for a peer that only writes. */
function webSocketServer(): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.clientFrameSizeBytesMax,
    autoPong: false,
  });
  return sockets.on('connection', (socket) => {
    socket.on('ping', (data) => {
      if (socket.bufferedAmount > limits.subscriberBacklogSizeBytesMax) socket.terminate();
      else socket.pong(data);
    });
  });
}

function answerStrangePaths(http: Served['http'], logger: Logger): void {
  const refuseWith = (code: EdgeErrorCode): Response => {
    const { status, headers, body } = edgeRefusal(code);
    const { Connection: _kept, ...kept } = headers;
    return new Response(body, { status, headers: kept });
  };
  http.notFound(() => refuseWith('NotFound'));
  http.onError((error) => {
    logFailure(logger, error);
    return refuseWith('InternalServerError');
  });
}

function logFailure(logger: Logger, error: unknown): void {
  logger.log('background_failed', { part: 'listener', ...describeError(error) });
}

async function answerUpgrade(request: IncomingMessage, response: Response): Promise<Response> {
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
      if (waitedMs < goodbyeTimeoutMs) stream.close();
      else stream.terminate();
    }
    server.closeIdleConnections();
    await clock.sleep(stopPollMs, ended.signal);
  }
}
