import type { EventCursor } from '#domain/events/cursor.ts';
import { readLogEnd } from '#domain/events/read-events.ts';
import { limits } from '#platform/limits.ts';
import { openingFrame } from './frames.ts';
import type { Frame, StreamErrorName } from './frames.ts';
import type { Subscription } from './hub.ts';
import type { StreamSlot, StreamSlots } from './stream-slots.ts';
import { subscribe } from './subscribe.ts';
import type { PacedSubscriber, SubscribeDeps } from './subscribe.ts';

/** Who opens a stream, and from where. */
export interface StreamRequest {
  readonly did: string;
  readonly onlyConversationId: string | undefined;
  readonly cursor: string | undefined;
}

/** A request with the end of the log at the time of the request, and its room among the account's streams. */
export interface AdmittedStreamRequest extends StreamRequest {
  readonly now: EventCursor;
  readonly place: StreamSlot;
}

/** An open stream as a stopping server sees it. */
export interface OpenStream {
  readonly transport: 'websocket' | 'sse';
  /** Whose it is, proven before it opened. */
  readonly did: string;
  readonly openedAtMs: number;
  /** Ends it such that the client connects again; may be called repeatedly. */
  goodbye(): void;
  /** Says why, and ends the stream. */
  end(error: StreamErrorName, message: string): void;
  /** Without waiting for the peer. */
  terminate(): void;
}

/** Where frames go, whatever carries them. */
export interface Outlet extends OpenStream {
  /** Aborted when the connection is gone, from whichever side. */
  readonly closed: AbortSignal;
  isOpen(): boolean;
  /** What the peer has not taken yet. */
  backlogSizeBytes(): number;
  send(frame: Frame): void;
}

export interface StreamDeps extends SubscribeDeps {
  readonly onError: (error: unknown) => void;
  /** Every open stream, so that a stopping server can say goodbye. */
  readonly openStreams: Set<OpenStream>;
  readonly places: StreamSlots;
  /** Called when somebody's stream has gone live. */
  readonly onLive: (did: string) => void;
}

const readyPollMs = 10;
const readyTimeoutMs = 30_000;
const replayBacklogSizeBytes = 262_144;
/** A burst may fill the backlog of a reader who is quick enough; one that stays full for this long is too slow. */
const fullBacklogMsMax = 300;
/** Frames are shared between subscribers, so that a backlog costs little; but it costs. */
const backlogSizeBytesMax = 33_554_432;

/**
 * Checks what can be checked before the stream opens. Where one without a cursor starts is settled here too: whatever is written
 * after the client sees its stream open reaches it.
 * @throws AppError TooManyConnections.
 */
export async function admitStreamRequest(deps: StreamDeps, request: StreamRequest): Promise<AdmittedStreamRequest> {
  const place = deps.places.take(request.did);
  try {
    const now = { ...(await readLogEnd(deps.database)), receivedAtMs: deps.clock.nowMs() };
    return { ...request, now, place };
  } catch (error) {
    place.release();
    throw error;
  }
}

/** Serves an open stream until it ends. @returns how to ask for its subscription, which is undefined until it is live. */
export function serveStream(
  deps: StreamDeps,
  request: AdmittedStreamRequest,
  outlet: Outlet,
): { readonly subscription: () => Subscription | undefined } {
  let live: Subscription | undefined;
  deps.openStreams.add(outlet);
  const hasRoom = request.place.hold();
  const leave = (): void => {
    deps.openStreams.delete(outlet);
    request.place.release();
    if (live !== undefined) deps.hub.remove(live);
  };
  outlet.closed.addEventListener('abort', leave);
  // What is aborted already tells nobody who begins to listen.
  if (outlet.closed.aborted) leave();
  if (!hasRoom || outlet.closed.aborted) {
    outlet.end('InternalError', 'The stream took too long to open. Connect again with the last cursor.');
    return { subscription: () => undefined };
  }
  async function run(): Promise<void> {
    const subscriber = subscriberOf(deps, request, outlet);
    live = await subscribe(deps, subscriber, startOf(deps, request, subscriber));
    if (live !== undefined && !outlet.isOpen()) deps.hub.remove(live);
    else if (live !== undefined) deps.onLive(request.did);
  }
  run().catch((error: unknown) => {
    deps.onError(error);
    outlet.end('InternalError', 'Something went wrong. Connect again with the last cursor.');
  });
  return { subscription: () => live };
}

/**
 * Tells the client at once where its stream starts: with the first frame it has a cursor, so that a connection which is cut before
 * the first event loses nothing. A cursor that is not of this database starts the stream now.
 */
function startOf(deps: StreamDeps, request: AdmittedStreamRequest, subscriber: PacedSubscriber): EventCursor {
  const given = request.cursor === undefined ? undefined : deps.codec.decode(request.cursor);
  const start = given ?? request.now;
  const isUnknown = request.cursor !== undefined && given === undefined;
  subscriber.deliver(openingFrame(deps.codec.encode(start), isUnknown ? 'cursorUnknown' : 'streamOpened'));
  return start;
}

function subscriberOf(deps: StreamDeps, request: StreamRequest, outlet: Outlet): PacedSubscriber {
  const { clock } = deps;
  let fullSinceMs: number | undefined;
  const isTooSlow = (): boolean => {
    const backlogSizeBytes = outlet.backlogSizeBytes();
    if (backlogSizeBytes <= limits.subscriberBacklogSizeBytesMax) {
      fullSinceMs = undefined;
      return false;
    }
    fullSinceMs ??= clock.monotonicMs();
    return backlogSizeBytes > backlogSizeBytesMax || clock.monotonicMs() - fullSinceMs > fullBacklogMsMax;
  };
  const cut = (): void => outlet.end('ConsumerTooSlow', 'You read too slowly. Connect again with the last cursor.');
  return {
    did: request.did,
    onlyConversationId: request.onlyConversationId,
    deliver(frame) {
      if (!outlet.isOpen()) return;
      // While older events are read out, `ready` sets the pace; live, a reader that far behind is cut and resumes by cursor.
      if (isTooSlow()) cut();
      else outlet.send(frame);
    },
    async ready() {
      const deadlineMs = clock.monotonicMs() + readyTimeoutMs;
      while (outlet.isOpen() && outlet.backlogSizeBytes() > replayBacklogSizeBytes) {
        if (clock.monotonicMs() > deadlineMs) {
          cut();
          return false;
        }
        await clock.sleep(readyPollMs);
      }
      return outlet.isOpen();
    },
  };
}
