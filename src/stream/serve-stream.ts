import type { EventCursor } from '#domain/events/cursor.ts';
import { readLogEnd } from '#domain/events/read-events.ts';
import { limits } from '#platform/limits.ts';
import { startFrame } from './frames.ts';
import type { Frame, StreamErrorName } from './frames.ts';
import type { Subscription } from './hub.ts';
import type { StreamSlot, StreamSlots } from './stream-slots.ts';
import { subscribe } from './subscribe.ts';
import type { PacedSubscriber, SubscribeDeps } from './subscribe.ts';

/** The account that opens a stream, and the conversation and cursor that it requests. */
export interface StreamRequest {
  readonly did: string;
  readonly onlyConversationId: string | undefined;
  readonly cursor: string | undefined;
}

/**
 * A request that has passed its checks, with the end of the log at the time of the request and a slot of the account.
 */
export interface AdmittedStreamRequest extends StreamRequest {
  readonly now: EventCursor;
  readonly slot: StreamSlot;
}

/** An open stream with the functions that end it. */
export interface OpenStream {
  readonly transport: 'websocket' | 'sse';
  /** The authenticated account of the stream. */
  readonly did: string;
  readonly openedAtMs: number;
  /** Closes the stream because the server stops, so that the client reconnects. May be called repeatedly. */
  close(): void;
  /** Sends the reason and ends the stream. */
  end(error: StreamErrorName, message: string): void;
  /** Ends the stream without a closing handshake. */
  terminate(): void;
}

/** The WebSocket or event-stream response that carries the frames. */
export interface StreamConnection extends OpenStream {
  /** Aborted when either side has closed the connection. */
  readonly closed: AbortSignal;
  isOpen(): boolean;
  /** Bytes that the peer has not read yet. */
  backlogSizeBytes(): number;
  send(frame: Frame): void;
}

export interface StreamDeps extends SubscribeDeps {
  readonly onError: (error: unknown) => void;
  /** Every open stream, so that a stopping server can close them. */
  readonly openStreams: Set<OpenStream>;
  readonly slots: StreamSlots;
  /** Called when the replay of a stream is over and live delivery has begun. */
  readonly onLive: (did: string) => void;
}

const readyPollMs = 10;
const readyTimeoutMs = 30_000;
const replayBacklogSizeBytes = 262_144;
/**
 * A reader whose backlog stays full for this long is too slow. A burst of events may fill the backlog for a shorter
 * time.
 */
const fullBacklogMsMax = 300;
/** Limits the size of one backlog. The limit can be large, because subscribers share the memory of their frames. */
const backlogSizeBytesMax = 33_554_432;

/**
 * Runs the checks that are possible before the stream opens, and reads the end of the log. A stream without a cursor
 * starts there, so that the client gets every event that is written after the stream has opened.
 * @throws AppError TooManyConnections.
 */
export async function admitStreamRequest(deps: StreamDeps, request: StreamRequest): Promise<AdmittedStreamRequest> {
  const slot = deps.slots.take(request.did);
  try {
    const now = { ...(await readLogEnd(deps.database)), receivedAtMs: deps.clock.nowMs() };
    return { ...request, now, slot };
  } catch (error) {
    slot.release();
    throw error;
  }
}

/**
 * Serves an open stream until it ends.
 * @returns a function that returns the subscription, or undefined before the stream is live.
 */
export function serveStream(
  deps: StreamDeps,
  request: AdmittedStreamRequest,
  connection: StreamConnection,
): { readonly subscription: () => Subscription | undefined } {
  let live: Subscription | undefined;
  deps.openStreams.add(connection);
  const hasSlot = request.slot.keep();
  const leave = (): void => {
    deps.openStreams.delete(connection);
    request.slot.release();
    if (live !== undefined) deps.hub.remove(live);
  };
  connection.closed.addEventListener('abort', leave);
  // An aborted signal does not call listeners that are added later.
  if (connection.closed.aborted) leave();
  if (!hasSlot || connection.closed.aborted) {
    connection.end('InternalError', 'The stream took too long to open. Connect again with the last cursor.');
    return { subscription: () => undefined };
  }
  async function run(): Promise<void> {
    const subscriber = subscriberOf(deps, request, connection);
    const cursor = startOf(deps, request, subscriber);
    live = await subscribe(deps, subscriber, { cursor, logEnd: request.now });
    if (live !== undefined && !connection.isOpen()) deps.hub.remove(live);
    else if (live !== undefined) deps.onLive(request.did);
  }
  run().catch((error: unknown) => {
    deps.onError(error);
    connection.end('InternalError', 'Something went wrong. Connect again with the last cursor.');
  });
  return { subscription: () => live };
}

/**
 * Sends the start of the stream as its first frame, so that a client whose connection closes before the first event has
 * a cursor to resume from. A stream with a cursor of another database starts at the current end of the log.
 */
function startOf(deps: StreamDeps, request: AdmittedStreamRequest, subscriber: PacedSubscriber): EventCursor {
  const given = request.cursor === undefined ? undefined : deps.codec.decode(request.cursor);
  const start = given ?? request.now;
  const isUnknown = request.cursor !== undefined && given === undefined;
  subscriber.deliver(startFrame(deps.codec.encode(start), isUnknown ? 'cursorUnknown' : 'streamOpened'));
  return start;
}

function subscriberOf(deps: StreamDeps, request: StreamRequest, connection: StreamConnection): PacedSubscriber {
  const { clock } = deps;
  let fullSinceMs: number | undefined;
  const isTooSlow = (): boolean => {
    const backlogSizeBytes = connection.backlogSizeBytes();
    if (backlogSizeBytes <= limits.subscriberBacklogSizeBytesMax) {
      fullSinceMs = undefined;
      return false;
    }
    fullSinceMs ??= clock.monotonicMs();
    return backlogSizeBytes > backlogSizeBytesMax || clock.monotonicMs() - fullSinceMs > fullBacklogMsMax;
  };
  const endAsTooSlow = (): void =>
    connection.end('ConsumerTooSlow', 'You read too slowly. Connect again with the last cursor.');
  return {
    did: request.did,
    onlyConversationId: request.onlyConversationId,
    deliver(frame) {
      if (!connection.isOpen()) return;
      // Only live delivery fills the backlog, because `ready` paces the replay. A reader that is too slow has to resume
      // by cursor.
      if (isTooSlow()) endAsTooSlow();
      else connection.send(frame);
    },
    isReady: () => connection.isOpen() && connection.backlogSizeBytes() <= replayBacklogSizeBytes,
    async ready() {
      const deadlineMs = clock.monotonicMs() + readyTimeoutMs;
      while (connection.isOpen() && connection.backlogSizeBytes() > replayBacklogSizeBytes) {
        if (clock.monotonicMs() > deadlineMs) {
          endAsTooSlow();
          return false;
        }
        await clock.sleep(readyPollMs);
      }
      return connection.isOpen();
    },
  };
}
