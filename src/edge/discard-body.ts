import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#platform/clock.ts';
import { yieldToEventLoop } from '#platform/process/yield-to-event-loop.ts';

/**
 * Limits how long the server still reads from a client that already has its response. Closing the connection at once
 * would reset it before a client that is still sending has read the response (RFC 9112 section 9.6).
 */
export interface LingerDeps {
  readonly clock: Clock;
  /** The longest time without a byte from the client, in milliseconds. */
  readonly lingerMs: number;
  /** The longest time for which the rest of a request is read, in milliseconds. */
  readonly lingerTotalMs: number;
}

/** Larger than any request that a client sends by mistake. */
const discardedSizeBytesMax = 67_108_864;

/**
 * Reads the rest of a request and throws it away.
 * @returns whether the request is complete; if not, the connection cannot carry another request.
 */
export async function discardBody(deps: LingerDeps, incoming: IncomingMessage): Promise<boolean> {
  if (incoming.readableEnded || incoming.destroyed) return incoming.complete;
  const { socket } = incoming;
  incoming.resume();
  // Most bodies are small and arrive with the head, so the timers below, which cost more than the response, are rarely
  // started.
  await yieldToEventLoop();
  if (incoming.complete || incoming.destroyed) return incoming.complete;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  incoming.once('end', end).once('close', end).on('error', end);
  await waitUntilQuiet(deps, socket, ended.signal);
  return incoming.complete;
}

/**
 * Resolves when the client has sent nothing for `lingerMs`, after `lingerTotalMs`, after 64 MiB, or when `ended`
 * aborts.
 */
export async function waitUntilQuiet(deps: LingerDeps, socket: Socket, ended: AbortSignal): Promise<void> {
  const endMs = deps.clock.monotonicMs() + deps.lingerTotalMs;
  const firstSizeBytes = socket.bytesRead;
  let beforeSizeBytes = -1;
  let nowSizeBytes = firstSizeBytes;
  while (nowSizeBytes !== beforeSizeBytes && nowSizeBytes - firstSizeBytes <= discardedSizeBytesMax) {
    const leftMs = endMs - deps.clock.monotonicMs();
    if (leftMs <= 0) return;
    beforeSizeBytes = nowSizeBytes;
    await deps.clock.sleep(Math.min(deps.lingerMs, leftMs), ended);
    if (ended.aborted) return;
    nowSizeBytes = socket.bytesRead;
  }
}
