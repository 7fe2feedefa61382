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

export interface LingerDeps {
  readonly clock: Clock;
  /** How long a refused peer may go on sending: closing at once would make its system throw away the answer unread. */
  readonly lingerMs: number;
}

/** Answers in turn, after what was asked before on this connection, and ends the connection. */
export async function refuse(deps: LingerDeps, { incoming, outgoing }: Exchange, code: EdgeErrorCode): Promise<void> {
  const { status, headers, body } = edgeRefusal(code);
  outgoing.writeHead(status, headers);
  if (incoming.method !== 'HEAD') outgoing.write(body);
  await discardBody(deps, incoming);
  outgoing.end();
}

/** Answers on the connection itself, whose request cannot be read any further, and ends it. */
export async function refuseOnSocket(
  { clock, lingerMs }: LingerDeps,
  socket: Socket,
  code: EdgeErrorCode,
): Promise<void> {
  if (socket.destroyed) return;
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  socket.end(edgeRefusalText(code));
  await clock.sleep(lingerMs, closed.signal);
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

async function discardBody({ clock, lingerMs }: LingerDeps, incoming: IncomingMessage): Promise<void> {
  if (incoming.readableEnded || incoming.destroyed) return;
  const ended = new AbortController();
  incoming.once('end', () => ended.abort()).once('close', () => ended.abort());
  incoming.on('error', () => ended.abort());
  incoming.resume();
  await clock.sleep(lingerMs, ended.signal);
}
