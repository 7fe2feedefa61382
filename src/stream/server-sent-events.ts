import type { ServerResponse } from 'node:http';
import type { Clock } from '#platform/clock.ts';
import { infoFrame } from './frames.ts';
import type { Frame } from './frames.ts';
import type { SharedInterval } from './shared-interval.ts';
import { admitStreamRequest, serveStream } from './serve-stream.ts';
import type { AdmittedStreamRequest, StreamConnection, StreamDeps, StreamRequest } from './serve-stream.ts';

export const keepaliveIntervalMs = 15_000;
const keepalive = Buffer.from(': keepalive\n\n');
/** Milliseconds in which a peer may read the rest of a stream that has ended. */
const closeTimeoutMs = 30_000;

export interface ResponseStreamDeps extends StreamDeps {
  /** The interval between two comment lines, usually `keepaliveIntervalMs`. */
  readonly keepalives: SharedInterval;
}

/**
 * Runs the checks that are possible before the response starts.
 * @returns a function that serves the response, whose headers have been sent, until the stream ends.
 * @throws AppError TooManyConnections.
 */
export async function openResponseStream(
  deps: ResponseStreamDeps,
  request: StreamRequest,
): Promise<(response: ServerResponse) => void> {
  const admitted = await admitStreamRequest(deps, request);
  return (response) => {
    const connection = connectionOf(deps, admitted, response);
    serveStream(deps, admitted, connection);
    keepAlive(deps.keepalives, response);
  };
}

function connectionOf(deps: StreamDeps, request: AdmittedStreamRequest, response: ServerResponse): StreamConnection {
  const closed = new AbortController();
  response.on('error', () => response.destroy());
  response.on('close', () => closed.abort('closed'));
  if (response.destroyed) closed.abort('closed');
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
    close() {
      if (isOpen()) finish();
    },
    terminate: () => response.destroy(),
  };
}

async function destroyLater(clock: Clock, response: ServerResponse, closed: AbortSignal): Promise<void> {
  await clock.sleep(closeTimeoutMs, closed);
  response.destroy();
}

/** Sends a comment line in each interval, because proxies close connections without traffic. */
function keepAlive(keepalives: SharedInterval, response: ServerResponse): void {
  const stop = keepalives.add(() => {
    if (!response.writableEnded) response.write(keepalive);
  });
  response.on('close', stop);
  if (response.destroyed) stop();
}
