import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#platform/clock.ts';
import { edgeRefusal, edgeRefusalText } from './edge-error.ts';
import type { EdgeErrorCode } from './edge-error.ts';
import type { PlainAnswer } from './plain-answer.ts';

/** A request and what answers it. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/**
 * How long the server goes on reading from a peer that has its answer. To close while the peer still sends would reset the connection,
 * and many clients send all of a request before they read.
 */
export interface LingerDeps {
  readonly clock: Clock;
  /** Without a byte from the peer. */
  readonly lingerMs: number;
  /** In all. */
  readonly lingerTotalMs: number;
}

/** What is read after an answer and thrown away; nobody's request is larger by mistake. */
const discardedSizeBytesMax = 67_108_864;

/** Answers in turn, after what was asked before on this connection, and ends the connection. */
export async function refuse(deps: LingerDeps, { incoming, outgoing }: Exchange, code: EdgeErrorCode): Promise<void> {
  const { status, headers, body } = edgeRefusal(code);
  outgoing.writeHead(status, headers);
  if (incoming.method !== 'HEAD') outgoing.write(body);
  await discardBody(deps, incoming);
  outgoing.end();
}

/** Answers on the connection itself, whose request cannot be read any further, and ends it. */
export async function refuseOnSocket(deps: LingerDeps, socket: Socket, code: EdgeErrorCode): Promise<void> {
  if (socket.destroyed) return;
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  socket.end(edgeRefusalText(code));
  await whileArriving(deps, () => socket.bytesRead, closed.signal);
  socket.destroy();
}

/**
 * Writes `answer` whole. The adapter would print an error that arises here, and send its text.
 * @returns what to wait for when the connection ends with it.
 * @throws Error when its headers cannot be sent.
 */
export function writeAnswer(deps: LingerDeps, exchange: Exchange, answer: PlainAnswer): Promise<void> | undefined {
  const { incoming, outgoing } = exchange;
  if (outgoing.destroyed || outgoing.headersSent) return undefined;
  const { status, headers, body } = answer;
  const mayHaveBody = status !== 204 && status !== 304;
  outgoing.writeHead(status, mayHaveBody ? { ...headers, 'Content-Length': Buffer.byteLength(body) } : headers);
  const sent = mayHaveBody && incoming.method !== 'HEAD' ? body : '';
  if (endsConnection(answer)) return finish(deps, exchange, sent);
  // Head and body leave together.
  outgoing.end(sent);
  return undefined;
}

/** Whether the connection is over with `answer`. */
export function endsConnection({ headers }: PlainAnswer): boolean {
  return headers['Connection'] === 'close' || headers['connection'] === 'close';
}

async function finish(deps: LingerDeps, { incoming, outgoing }: Exchange, body: string | Buffer): Promise<void> {
  outgoing.write(body);
  await discardBody(deps, incoming);
  outgoing.end();
}

/**
 * Reads the rest of a request that has its answer, and throws it away.
 * @returns whether the request is complete; if not, the connection can carry nothing else.
 */
export async function discardBody(deps: LingerDeps, incoming: IncomingMessage): Promise<boolean> {
  if (incoming.readableEnded || incoming.destroyed) return incoming.complete;
  const { socket } = incoming;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  incoming.once('end', end).once('close', end).on('error', end);
  incoming.resume();
  await whileArriving(deps, () => socket.bytesRead, ended.signal);
  return incoming.complete;
}

/** Resolves when nothing has arrived for `lingerMs`, `lingerTotalMs` are over, too much has arrived, or `ended` says so. */
async function whileArriving(deps: LingerDeps, readSizeBytes: () => number, ended: AbortSignal): Promise<void> {
  const endMs = deps.clock.monotonicMs() + deps.lingerTotalMs;
  const firstSizeBytes = readSizeBytes();
  let beforeSizeBytes = -1;
  let nowSizeBytes = firstSizeBytes;
  while (nowSizeBytes !== beforeSizeBytes && nowSizeBytes - firstSizeBytes <= discardedSizeBytesMax) {
    const leftMs = endMs - deps.clock.monotonicMs();
    if (leftMs <= 0) return;
    beforeSizeBytes = nowSizeBytes;
    await deps.clock.sleep(Math.min(deps.lingerMs, leftMs), ended);
    if (ended.aborted) return;
    nowSizeBytes = readSizeBytes();
  }
}
