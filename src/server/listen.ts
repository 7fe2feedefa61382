import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createConnectionLimiter } from '#edge/connection-limiter.ts';
import { createCorsPolicy } from '#edge/cors.ts';
import { Edge } from '#edge/edge.ts';
import type { EdgeDeps, SecuredServer } from '#edge/edge.ts';
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
import type { App } from './app.ts';
import { createRoutes } from './routes.ts';
import type { Served } from './routes.ts';

/** A listening HTTP server. */
export interface Listener {
  readonly port: number;
  /**
   * Refuses new connections, closes streams with code 1012, and resolves when the requests in progress are done. A
   * stream that its client does not close within two seconds is terminated.
   */
  stop(): Promise<void>;
}

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
  /** The default is `edgeTimeouts`. */
  readonly timeouts?: EdgeTimeouts;
}

/** The size of the request line without its target, because Node counts the request line as part of the headers. */
const requestLineSizeBytes = 64;
const closeTimeoutMs = 2_000;
const stopCheckEveryMs = 50;

/**
 * Opens the port and then composes the app, because the number of a free port is known only after it is open. No
 * request can arrive before the app is ready, because `compose` runs before the event loop reads connections.
 * @throws Error with code EADDRINUSE when the port is taken.
 */
export async function listen<Composed extends Served & Pick<App, 'openStreams'>>(
  options: ListenOptions,
  compose: (port: number) => Composed,
): Promise<{ listener: Listener; app: Composed }> {
  const { clock, logger, timeouts = edgeTimeouts } = options;
  const onError = (error: unknown): void =>
    logger.log('background_failed', { part: 'listener', ...describeError(error) });
  const edge = new Edge({ ...edgePolicy(options), clock, timeouts, onError });
  const server = createServer(serverOptions(timeouts, edge));
  server.maxConnections = options.config.MAX_CONNECTIONS;
  // Without this property, which the types lack, one of several processes passes a further connection to the next one,
  // and does so without end when all have the maximum.
  Object.assign(server, { dropMaxConnection: true });
  server.timeout = timeouts.drainMs;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const app = compose(port);
  edge.attach(server, createRoutes(app, onError));
  return { listener: { port, stop: () => stop(server, app.openStreams, clock) }, app };
}

/**
 * Returns the policy of the edge. Connections from trusted proxies, and outside production from this machine, are not
 * limited by address.
 */
function edgePolicy({
  config,
  clock,
}: ListenOptions): Pick<EdgeDeps, 'connectionLimiter' | 'cors' | 'forwardedHeader'> {
  const exempt = config.NODE_ENV === 'production' ? [] : ['127.0.0.0/8', '::1'];
  const isExempt = createAddressList([...config.TRUSTED_PROXY_CIDRS, ...exempt], 'TRUSTED_PROXY_CIDRS');
  const limits = {
    perAddressMax: config.MAX_CONNECTIONS_PER_ADDRESS,
    perSecondMax: config.MAX_CONNECTIONS_PER_SECOND,
    prefixesMax: 2 * config.MAX_CONNECTIONS,
  };
  return {
    connectionLimiter: createConnectionLimiter({ clock, limits, isExempt }),
    cors: createCorsPolicy(config.CORS_ALLOW_ORIGINS),
    forwardedHeader: config.TRUSTED_PROXY_HEADER.toLowerCase(),
  };
}

function serverOptions(
  timeouts: EdgeTimeouts,
  edge: Edge,
): ServerOptions<typeof IncomingMessage, typeof SecuredResponse> {
  return {
    ServerResponse: SecuredResponse,
    shouldUpgradeCallback: (incoming) => edge.mayUpgrade(incoming),
    insecureHTTPParser: false,
    maxHeaderSize: limits.urlLengthMax + limits.headersSizeBytesMax + requestLineSizeBytes,
    // The edge itself refuses a request without Host, so that the response has an error body.
    requireHostHeader: false,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkEveryMs,
    keepAliveTimeout: timeouts.keepAliveMs,
  };
}

/**
 * Stops the server. Streams are closed repeatedly, because requests in progress may open more, and are terminated if
 * their clients do not close them within two seconds.
 */
async function stop(server: SecuredServer, openStreams: ReadonlySet<OpenStream>, clock: Clock): Promise<void> {
  const ended = new AbortController();
  server.once('close', () => ended.abort());
  server.close();
  for (let waitedMs = 0; !ended.signal.aborted; waitedMs += stopCheckEveryMs) {
    for (const stream of openStreams) {
      if (waitedMs < closeTimeoutMs) stream.close();
      else stream.terminate();
    }
    server.closeIdleConnections();
    await clock.sleep(stopCheckEveryMs, ended.signal);
  }
}
