import type { ServerResponse } from 'node:http';
import type { Clock } from '#platform/clock.ts';
import { infoFrame } from './frames.ts';
import type { Frame } from './frames.ts';
import { admitStreamRequest, serveStream } from './serve-stream.ts';
import type { Outlet, AdmittedStreamRequest, StreamDeps, StreamRequest } from './serve-stream.ts';

const keepaliveIntervalMs = 15_000;
const keepalive = Buffer.from(': keepalive\n\n');
/** How long a peer may take to read the rest of a stream that has ended. */
const goodbyeTimeoutMs = 30_000;

/**
 * Checks what can be checked before the answer starts; the returned function then serves the response, whose headers are sent,
 * until it ends.
 * @throws AppError TooManyConnections.
 */
export async function openResponseStream(
  deps: StreamDeps,
  request: StreamRequest,
): Promise<(response: ServerResponse) => void> {
  const placed = await admitStreamRequest(deps, request);
  return (response) => {
    const outlet = outletOf(deps, placed, response);
    serveStream(deps, placed, outlet);
    keepAlive(deps.clock, response, outlet.closed).catch(deps.onError);
  };
}

function outletOf(deps: StreamDeps, request: AdmittedStreamRequest, response: ServerResponse): Outlet {
  const closed = new AbortController();
  response.on('error', () => response.destroy());
  response.on('close', () => closed.abort());
  if (response.destroyed) closed.abort();
  const isOpen = (): boolean => !response.destroyed && !response.writableEnded;
  let last: Frame | undefined;
  const finish = (): void => {
    response.end();
    destroyLater(deps.clock, response, closed.signal).catch(deps.onError);
  };
  return {
    transport: 'sse',
    did: request.did,
    openedAtMs: deps.clock.nowMs(),
    closed: closed.signal,
    isOpen,
    backlogSizeBytes: () => response.writableLength,
    send(frame) {
      last = frame;
      response.write(frame.sse());
    },
    end(error, message) {
      if (!isOpen()) return;
      const cursor = last?.cursor ?? request.cursor ?? deps.codec.encode(request.now);
      response.write(infoFrame(cursor, `${error}: ${message}`).sse());
      finish();
    },
    goodbye() {
      if (isOpen()) finish();
    },
    terminate: () => response.destroy(),
  };
}

async function destroyLater(clock: Clock, response: ServerResponse, closed: AbortSignal): Promise<void> {
  await clock.sleep(goodbyeTimeoutMs, closed);
  response.destroy();
}

/** Proxies cut what is silent. */
async function keepAlive(clock: Clock, response: ServerResponse, closed: AbortSignal): Promise<void> {
  while (!closed.aborted) {
    await clock.sleep(keepaliveIntervalMs, closed);
    if (!closed.aborted && !response.writableEnded) response.write(keepalive);
  }
}
