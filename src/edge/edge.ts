import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#platform/clock.ts';
import type { ConnectionGate } from './connection-gate.ts';
import type { CorsPolicy } from './cors.ts';
import type { EdgeErrorCode } from './edge-error.ts';
import { inspectRequest } from './inspect-request.ts';
import type { InspectOptions } from './inspect-request.ts';
import type { PlainAnswer } from './plain-answer.ts';
import { discardBody, endsConnection, refuse, refuseOnSocket, writeAnswer } from './refuse.ts';
import type { Exchange, LingerDeps } from './refuse.ts';
import type { EdgeTimeouts } from './timeouts.ts';

export interface EdgeDeps {
  readonly clock: Clock;
  readonly timeouts: EdgeTimeouts;
  readonly gate: ConnectionGate;
  readonly cors: CorsPolicy;
  readonly forwardedHeader: string;
  /** Answers requests that come in when there are too many, before anything else is done for them; whether it has answered. */
  readonly shed: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  /** Receives what went wrong while an answer was written; its text is not for the log. */
  readonly onError: (error: unknown) => void;
}

/** An exchange whose request is still arriving, or whose answer is not written. */
interface OpenExchange extends Exchange {
  readonly socket: Socket;
  readonly startedAtMs: number;
  /** What the connection had read before. */
  readonly readBeforeSizeBytes: number;
}

interface Link {
  /** Its last answer is decided: what else arrives is not run. */
  isClosing: boolean;
  /** The connection itself was answered; what still arrives is thrown away. */
  isRefused: boolean;
  requestCount: number;
  readonly exchanges: Set<OpenExchange>;
}

/**
 * On connections, and on requests, since Node takes the connection off a request that is read no further. A WeakMap would be
 * looked through by every collection of garbage.
 */
const linkOf = Symbol('link');

interface Linked {
  [linkOf]?: Link;
}

const requestsPerConnectionMax = 1_000;
const bodyRateBytesPerSecondMin = 1_024;
/** The app names nothing by the Host, and the adapter answers odd ones without a body. */
const innerHost = 'localhost';

const parserErrors: Readonly<Record<string, EdgeErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'HeadersTooLarge',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'PayloadTooLarge',
  ERR_HTTP_REQUEST_TIMEOUT: 'RequestTimeout',
};

/** Decides about connections and requests before the app sees them, and writes what the app answers. */
export class Edge {
  readonly #deps: EdgeDeps;
  readonly #inspectOptions: InspectOptions;
  readonly #linger: LingerDeps;
  readonly #open = new Set<OpenExchange>();

  constructor(deps: EdgeDeps) {
    this.#deps = deps;
    this.#inspectOptions = {
      forwardedHeader: deps.forwardedHeader,
      isAllowedOrigin: (origin) => deps.cors.isAllowed(origin),
    };
    const { lingerMs, lingerTotalMs } = deps.timeouts;
    this.#linger = { clock: deps.clock, lingerMs, lingerTotalMs };
  }

  /** Gives `serve` the requests of `server` that are plain HTTP, and refuses the rest. */
  attach(server: Server, serve: RequestListener): void {
    const ended = new AbortController();
    server.once('close', () => ended.abort());
    server.on('connection', (socket) => this.#enter(socket));
    server.on('request', (incoming, outgoing) => {
      if (this.#deps.shed(incoming, outgoing)) return;
      if (this.#admit(incoming, outgoing) !== undefined) serve(incoming, outgoing);
    });
    server.on('checkContinue', (incoming, outgoing) => {
      if (this.#admit(incoming, outgoing) === undefined) return;
      outgoing.writeContinue();
      serve(incoming, outgoing);
    });
    server.on('checkExpectation', (incoming, outgoing) => {
      const exchange = this.#admit(incoming, outgoing);
      if (exchange !== undefined) this.#close(exchange, 'ExpectationFailed');
    });
    server.on('connect', (_request, socket: Socket) => this.#closeSocket(socket, 'MethodNotAllowed'));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code === 'ECONNRESET') socket.destroy();
      // The parser reports each further piece of a request that was refused already.
      else if (this.#linkOf(socket).isRefused) return;
      else if (!socket.writable) socket.destroy();
      else this.#closeSocket(socket, parserErrors[error.code ?? ''] ?? 'InvalidRequest');
    });
    this.#watch(ended.signal).catch(this.#deps.onError);
  }

  /** Whether a request that asks to leave HTTP is plain, and alone on its connection. */
  mayUpgrade(request: IncomingMessage): boolean {
    const { isClosing, exchanges } = this.#linkOf(request.socket);
    if (isClosing || exchanges.size > 0) return false;
    if (inspectRequest(request, this.#inspectOptions) !== undefined) return false;
    request.headers.host = innerHost;
    return true;
  }

  /** Writes the app's answer; a failure becomes InternalServerError and goes to `onError`. Never rejects. */
  async answer(exchange: Exchange, answer: PlainAnswer | Promise<PlainAnswer>): Promise<void> {
    // Node takes it off the request when the peer leaves.
    const socket: Socket | null = exchange.incoming.socket;
    try {
      const known = answer instanceof Promise ? await answer : answer;
      if (endsConnection(known)) this.#willClose(exchange);
      await writeAnswer(this.#linger, exchange, known);
      // A request that was refused unread: its connection carries the next one only when all of this one has come.
      if (!exchange.incoming.complete && !(await discardBody(this.#linger, exchange.incoming))) socket?.destroySoon();
    } catch (error) {
      this.#deps.onError(error);
      if (exchange.outgoing.headersSent) exchange.outgoing.destroy();
      else this.#close(exchange, 'InternalServerError');
    }
  }

  #enter(socket: Socket): void {
    const leave = this.#deps.gate.enter(socket.remoteAddress);
    if (leave === undefined) socket.destroy();
    else socket.once('close', leave);
  }

  #linkOf(socket: Socket): Link {
    const linked: Socket & Linked = socket;
    if (linked[linkOf] !== undefined) return linked[linkOf];
    const link = { isClosing: false, isRefused: false, requestCount: 0, exchanges: new Set<OpenExchange>() };
    linked[linkOf] = link;
    // An answer that never got its turn on the connection does not say that it is over.
    socket.once('close', () => link.exchanges.forEach((exchange) => this.#open.delete(exchange)));
    return link;
  }

  #admit(incoming: IncomingMessage, outgoing: ServerResponse): Exchange | undefined {
    const link = this.#linkOf(incoming.socket);
    if (link.isClosing) return undefined;
    const exchange = this.#begin(link, { incoming, outgoing });
    const code = inspectRequest(incoming, this.#inspectOptions);
    if (code !== undefined) {
      this.#close(exchange, code);
      return undefined;
    }
    link.requestCount += 1;
    if (link.requestCount >= requestsPerConnectionMax) {
      // Node's own limit says that the connection ends, and leaves it open.
      outgoing.setHeader('Connection', 'close');
      link.isClosing = true;
    }
    for (const [name, value] of this.#deps.cors.headersFor(incoming.headers.origin)) outgoing.setHeader(name, value);
    incoming.headers.host = innerHost;
    return exchange;
  }

  #begin(link: Link, { incoming, outgoing }: Exchange): Exchange {
    const { socket } = incoming;
    const startedAtMs = this.#deps.clock.monotonicMs();
    const exchange = { incoming, outgoing, socket, startedAtMs, readBeforeSizeBytes: socket.bytesRead };
    const { exchanges } = link;
    const linked: IncomingMessage & Linked = incoming;
    linked[linkOf] = link;
    exchanges.add(exchange);
    this.#open.add(exchange);
    outgoing.once('close', () => {
      exchanges.delete(exchange);
      this.#open.delete(exchange);
      if (link.isClosing && exchanges.size === 0) socket.destroySoon();
    });
    return exchange;
  }

  #willClose({ incoming }: Exchange): void {
    const { [linkOf]: link }: IncomingMessage & Linked = incoming;
    if (link !== undefined) link.isClosing = true;
  }

  #close(exchange: Exchange, code: EdgeErrorCode): void {
    this.#willClose(exchange);
    refuse(this.#linger, exchange, code).catch((error: unknown) => {
      exchange.outgoing.destroy();
      this.#deps.onError(error);
    });
  }

  /** What is written here must not be taken for the answer to an earlier request: those are answered, and then the connection ends. */
  #closeSocket(socket: Socket, code: EdgeErrorCode): void {
    const link = this.#linkOf(socket);
    if (link.isClosing) return;
    link.isClosing = true;
    const [current, ...others] = link.exchanges;
    if (current !== undefined && (others.length > 0 || current.incoming.complete)) return;
    if (current?.outgoing.headersSent === true) {
      socket.destroy();
      return;
    }
    link.isRefused = true;
    refuseOnSocket(this.#linger, socket, code).catch(this.#deps.onError);
  }

  async #watch(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await this.#deps.clock.sleep(this.#deps.timeouts.checkEveryMs, ended);
      this.#endSlowBodies();
    }
  }

  #endSlowBodies(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const { incoming, socket, startedAtMs, readBeforeSizeBytes } of this.#open) {
      const elapsedMs = nowMs - startedAtMs;
      if (incoming.complete || elapsedMs < this.#deps.timeouts.bodyGraceMs) continue;
      const dueSizeBytes = (bodyRateBytesPerSecondMin * elapsedMs) / 1000;
      const readSizeBytes = socket.bytesRead - readBeforeSizeBytes;
      if (readSizeBytes < dueSizeBytes) this.#closeSocket(socket, 'RequestTimeout');
    }
  }
}
