import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#platform/clock.ts';
import type { ConnectionLimiter } from './connection-limiter.ts';
import type { CorsPolicy } from './cors.ts';
import { discardBody } from './discard-body.ts';
import type { LingerDeps } from './discard-body.ts';
import type { EdgeErrorCode } from './edge-error.ts';
import type { Exchange, HttpResponse, Routes } from './exchange.ts';
import { inspectRequest } from './inspect-request.ts';
import type { InspectOptions } from './inspect-request.ts';
import type { SecuredResponse } from './security-headers.ts';
import type { EdgeTimeouts } from './timeouts.ts';
import {
  closesConnection,
  createUpgradeResponse,
  writeError,
  writeErrorToSocket,
  writeResponse,
} from './write-response.ts';

export interface EdgeDeps {
  readonly clock: Clock;
  readonly timeouts: EdgeTimeouts;
  readonly connectionLimiter: ConnectionLimiter;
  readonly cors: CorsPolicy;
  /** The name, in lower case, of the header in which a proxy sends the client address. */
  readonly forwardedHeader: string;
  /**
   * Called with each error that occurs while a response is written. The error text may contain data, so it must not be
   * logged.
   */
  readonly onError: (error: unknown) => void;
}

/** An exchange whose request is not complete, or whose response is not written. */
interface OpenExchange extends Exchange {
  readonly connection: ConnectionState;
  readonly startedAtMs: number;
  /** Bytes that the connection had read when the exchange began. */
  readonly readBeforeSizeBytes: number;
}

interface ConnectionState {
  readonly socket: Socket;
  /** Whether further requests are not served, because the connection closes after a response. */
  isClosing: boolean;
  /** Whether an error was written directly to the socket, so that bytes that still arrive are discarded. */
  isRefused: boolean;
  requestCount: number;
  /** The exchanges that are open, in the order of their requests. */
  readonly exchanges: Set<OpenExchange>;
}

/**
 * The names of properties that store the state on a socket, and the exchange on its request because Node removes the
 * socket from a request that is no longer read. A WeakMap would cost more, because every garbage collection scans all
 * of its entries.
 */
const connectionState = Symbol('connectionState');
const openExchange = Symbol('openExchange');

interface HasConnectionState {
  [connectionState]?: ConnectionState;
}

interface HasOpenExchange {
  [openExchange]?: OpenExchange;
}

const requestsPerConnectionMax = 1_000;
const bodyRateBytesPerSecondMin = 1_024;

const parserErrors: Readonly<Record<string, EdgeErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'HeadersTooLarge',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'PayloadTooLarge',
  ERR_HTTP_REQUEST_TIMEOUT: 'RequestTimeout',
};

/** A server that creates responses with the security headers. */
export type SecuredServer = Server<typeof IncomingMessage, typeof SecuredResponse>;

/** Limits connections, refuses invalid requests, and writes every response. */
export class Edge {
  readonly #deps: EdgeDeps;
  readonly #inspectOptions: InspectOptions;
  readonly #linger: LingerDeps;
  readonly #connections = new Set<ConnectionState>();
  #routes: Routes | undefined;

  constructor(deps: EdgeDeps) {
    this.#deps = deps;
    this.#inspectOptions = {
      forwardedHeader: deps.forwardedHeader,
      isAllowedOrigin: (origin) => deps.cors.isAllowed(origin),
    };
    const { lingerMs, lingerTotalMs } = deps.timeouts;
    this.#linger = { clock: deps.clock, lingerMs, lingerTotalMs };
  }

  /** Receives the requests of `server`, passes the valid ones to `routes`, and writes the responses. */
  attach(server: SecuredServer, routes: Routes): void {
    this.#routes = routes;
    server.on('connection', (socket) => this.#limitConnections(socket));
    server.on('request', (incoming, outgoing) => {
      const exchange = this.#admit(incoming, outgoing);
      if (exchange !== undefined) void this.#respond(exchange, routes.respond(exchange));
    });
    server.on('checkContinue', (incoming, outgoing) => {
      const exchange = this.#admit(incoming, outgoing);
      if (exchange === undefined) return;
      outgoing.writeContinue();
      void this.#respond(exchange, routes.respond(exchange));
    });
    server.on('checkExpectation', (incoming, outgoing) => {
      const exchange = this.#admit(incoming, outgoing);
      if (exchange !== undefined) this.#refuse(exchange, 'ExpectationFailed');
    });
    server.on('upgrade', (incoming, socket: Socket, head) => {
      socket.on('error', () => undefined);
      const exchange = { incoming, outgoing: createUpgradeResponse(incoming, socket) };
      void this.#respond(exchange, routes.respondToUpgrade(exchange, socket, head));
    });
    server.on('connect', (_request, socket: Socket) => this.#refuseConnection(socket, 'MethodNotAllowed'));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code === 'ECONNRESET') socket.destroy();
      // The parser reports one more error for each further part of a request that was already refused.
      else if (this.#stateOf(socket).isRefused) return;
      else if (!socket.writable) socket.destroy();
      else this.#refuseConnection(socket, parserErrors[error.code ?? ''] ?? 'InvalidRequest');
    });
    const ended = new AbortController();
    server.once('close', () => ended.abort());
    this.#watchBodies(ended.signal).catch(this.#deps.onError);
  }

  /**
   * Returns whether a request may change to another protocol. The request must be valid, be the only open request of
   * its connection, and be accepted by the routes.
   */
  mayUpgrade(incoming: IncomingMessage): boolean {
    const { isClosing, exchanges } = this.#stateOf(incoming.socket);
    if (isClosing || exchanges.size > 0 || this.#routes?.mayUpgrade(incoming) !== true) return false;
    return inspectRequest(incoming, this.#inspectOptions) === undefined;
  }

  async #respond(exchange: Exchange, pending: Promise<HttpResponse | undefined>): Promise<void> {
    const { incoming, outgoing } = exchange;
    // Node sets the socket of a request to null when the client disconnects.
    const socket: Socket | null = incoming.socket;
    try {
      const response = await pending;
      if (response === undefined) return;
      if (closesConnection(response)) this.#willClose(exchange);
      const closing = writeResponse(this.#linger, exchange, response);
      if (closing !== undefined) await closing;
      // A response may be sent before its request was read. The connection can carry another request only after the
      // rest of the earlier request has arrived.
      if (!incoming.complete && !(await discardBody(this.#linger, incoming))) socket?.destroySoon();
    } catch (error) {
      this.#deps.onError(error);
      if (outgoing.headersSent) outgoing.destroy();
      else this.#refuse(exchange, 'InternalServerError');
    }
  }

  #limitConnections(socket: Socket): void {
    const close = this.#deps.connectionLimiter.open(socket.remoteAddress);
    if (close === undefined) socket.destroy();
    else socket.once('close', close);
  }

  #stateOf(socket: Socket): ConnectionState {
    const holder: Socket & HasConnectionState = socket;
    if (holder[connectionState] !== undefined) return holder[connectionState];
    const state = { socket, isClosing: false, isRefused: false, requestCount: 0, exchanges: new Set<OpenExchange>() };
    holder[connectionState] = state;
    // A socket that is destroyed may have emitted its last event.
    if (!socket.destroyed) {
      this.#connections.add(state);
      socket.once('close', () => this.#connections.delete(state));
    }
    return state;
  }

  /**
   * Returns the exchange of a request that may be served, or undefined when the request was refused or the connection
   * is closing.
   */
  #admit(incoming: IncomingMessage, outgoing: SecuredResponse): Exchange | undefined {
    const state = this.#stateOf(incoming.socket);
    if (state.isClosing) return undefined;
    const exchange = this.#begin(state, { incoming, outgoing });
    const code = inspectRequest(incoming, this.#inspectOptions);
    if (code !== undefined) {
      this.#refuse(exchange, code);
      return undefined;
    }
    state.requestCount += 1;
    if (state.requestCount >= requestsPerConnectionMax) {
      // Node's `maxRequestsPerSocket` is not used, because it announces that the connection closes but leaves it open.
      outgoing.setHeader('Connection', 'close');
      state.isClosing = true;
    }
    outgoing.corsHeaders = this.#deps.cors.headersFor(incoming.headers.origin);
    return exchange;
  }

  #begin(state: ConnectionState, { incoming, outgoing }: Exchange): Exchange {
    const startedAtMs = this.#deps.clock.monotonicMs();
    const { bytesRead: readBeforeSizeBytes } = state.socket;
    const exchange = { incoming, outgoing, connection: state, startedAtMs, readBeforeSizeBytes };
    const holder: IncomingMessage & HasOpenExchange = incoming;
    holder[openExchange] = exchange;
    state.exchanges.add(exchange);
    outgoing.on('close', endExchange);
    return exchange;
  }

  #willClose({ incoming }: Exchange): void {
    const { [openExchange]: exchange }: IncomingMessage & HasOpenExchange = incoming;
    if (exchange !== undefined) exchange.connection.isClosing = true;
  }

  #refuse(exchange: Exchange, code: EdgeErrorCode): void {
    this.#willClose(exchange);
    writeError(this.#linger, exchange, code).catch((error: unknown) => {
      exchange.outgoing.destroy();
      this.#deps.onError(error);
    });
  }

  /**
   * Writes an error to a connection and closes it. If earlier requests still wait for their responses, the connection
   * closes after them without the error, because the client would take the error for one of those responses.
   */
  #refuseConnection(socket: Socket, code: EdgeErrorCode): void {
    const state = this.#stateOf(socket);
    if (state.isClosing) return;
    state.isClosing = true;
    const [current, ...others] = state.exchanges;
    if (current !== undefined && (others.length > 0 || current.incoming.complete)) return;
    if (current?.outgoing.headersSent === true) {
      socket.destroy();
      return;
    }
    state.isRefused = true;
    writeErrorToSocket(this.#linger, socket, code).catch(this.#deps.onError);
  }

  async #watchBodies(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await this.#deps.clock.sleep(this.#deps.timeouts.checkEveryMs, ended);
      this.#refuseSlowBodies();
    }
  }

  #refuseSlowBodies(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const { socket, exchanges } of this.#connections) {
      for (const { incoming, startedAtMs, readBeforeSizeBytes } of exchanges) {
        const elapsedMs = nowMs - startedAtMs;
        if (incoming.complete || elapsedMs < this.#deps.timeouts.bodyGraceMs) continue;
        const dueSizeBytes = (bodyRateBytesPerSecondMin * elapsedMs) / 1000;
        const readSizeBytes = socket.bytesRead - readBeforeSizeBytes;
        if (readSizeBytes < dueSizeBytes) this.#refuseConnection(socket, 'RequestTimeout');
      }
    }
  }
}

/** Ends the exchange of a response that is closed. One function serves all responses, so that none needs a closure. */
function endExchange(this: SecuredResponse): void {
  const { [openExchange]: exchange }: IncomingMessage & HasOpenExchange = this.req;
  if (exchange === undefined) return;
  const { connection } = exchange;
  connection.exchanges.delete(exchange);
  if (connection.isClosing && connection.exchanges.size === 0) connection.socket.destroySoon();
}
