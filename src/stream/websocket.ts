import { decode } from '@atproto/lex-cbor';
import type { WebSocket } from 'ws';
import { decodeGroupId } from '#domain/conversations/conversation.ts';
import type { EventCursor } from '#domain/events/cursor.ts';
import { placeBefore } from '#domain/events/event.ts';
import { readHorizon } from '#domain/events/read-events.ts';
import { domainError } from '#domain/domain-error.ts';
import { limits } from '#platform/limits.ts';
import type { EphemeralBus } from './ephemeral-bus.ts';
import { errorFrame, infoFrame } from './frames.ts';
import type { StreamErrorName } from './frames.ts';
import type { Subscription } from './hub.ts';
import { subscribe } from './subscribe.ts';
import type { PacedSubscriber, SubscribeDeps } from './subscribe.ts';

export interface SocketDeps extends SubscribeDeps {
  readonly bus: EphemeralBus;
  readonly onError: (error: unknown) => void;
  /** Every open stream, so that a stopping server can say goodbye. */
  readonly openStreams: Set<WebSocket>;
}

/** Who opens a stream, and from where. */
export interface StreamRequest {
  readonly did: string;
  readonly onlyConversationId: string | undefined;
  readonly cursor: string | undefined;
}

/** RFC 6455 section 7.4.1, and 4000 and up for our own. */
export const closeCodes = {
  goingAway: 1001,
  policyViolation: 1008,
  internalError: 1011,
  serviceRestart: 1012,
} as const;

const pingIntervalMs = 30_000;
const readyPollMs = 10;
const readyTimeoutMs = 30_000;
const replayBacklogSizeBytes = 262_144;
const typingFramesPerSecondMax = 5;
const nsid = 'blue.catbird.mls.subscribeConvoEvents';

/**
 * Checks what can be checked before the socket opens; the returned function then serves the socket until it ends. Where a
 * stream without a cursor starts is settled here too: whatever is written after the client sees its socket open reaches it.
 * @throws AppError TooManyConnections.
 */
export async function openStream(deps: SocketDeps, request: StreamRequest): Promise<(socket: WebSocket) => void> {
  if (deps.hub.countOf(request.did) >= limits.subscriptionsPerAccountMax) throw domainError('TooManyConnections');
  const now: EventCursor = { ...placeBefore(await readHorizon(deps.database)), receivedAtMs: deps.clock.nowMs() };
  return (socket) => {
    serve(deps, { ...request, now }, socket).catch((error: unknown) => {
      deps.onError(error);
      end(
        socket,
        closeCodes.internalError,
        'InternalError',
        'Something went wrong. Connect again with the last cursor.',
      );
    });
  };
}

/** A request with the end of the log at the time of the request. */
interface PlacedRequest extends StreamRequest {
  readonly now: EventCursor;
}

async function serve(deps: SocketDeps, request: PlacedRequest, socket: WebSocket): Promise<void> {
  const subscriber = subscriberOf(deps, request, socket);
  deps.openStreams.add(socket);
  const watching = new AbortController();
  const live: { subscription?: Subscription } = {};
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    watching.abort();
    deps.openStreams.delete(socket);
    if (live.subscription !== undefined) deps.hub.remove(live.subscription);
  });
  const typing = typingReader(deps, request, () => live.subscription);
  socket.on('message', (data, isBinary) => typing(data, isBinary));
  watchLiveness(deps, socket, watching.signal).catch(deps.onError);
  const subscription = await subscribe(deps, subscriber, startOf(deps, request, subscriber));
  if (subscription === undefined) return;
  live.subscription = subscription;
  if (socket.readyState !== socket.OPEN) deps.hub.remove(subscription);
}

/** A cursor that is not of this database starts the stream now, and the client is told to fetch what it missed. */
function startOf(deps: SocketDeps, request: PlacedRequest, subscriber: PacedSubscriber): EventCursor {
  if (request.cursor === undefined) return request.now;
  const cursor = deps.codec.decode(request.cursor);
  if (cursor !== undefined) return cursor;
  const here = deps.codec.encode(request.now);
  subscriber.deliver(
    infoFrame(here, 'The cursor is not one of this database. Fetch what is missing with getMessages.'),
  );
  return request.now;
}

/** A burst may fill the backlog of a reader who is quick enough; one that stays full for this long is too slow. */
const fullBacklogMsMax = 300;
/** Frames are shared between subscribers, so that a backlog costs little; but it costs. */
const backlogSizeBytesMax = 33_554_432;

function subscriberOf(deps: SocketDeps, request: StreamRequest, socket: WebSocket): PacedSubscriber {
  let fullSinceMs: number | undefined;
  const isTooSlow = (): boolean => {
    if (socket.bufferedAmount <= limits.subscriberBacklogSizeBytesMax) {
      fullSinceMs = undefined;
      return false;
    }
    fullSinceMs ??= deps.clock.monotonicMs();
    return socket.bufferedAmount > backlogSizeBytesMax || deps.clock.monotonicMs() - fullSinceMs > fullBacklogMsMax;
  };
  return {
    did: request.did,
    onlyConversationId: request.onlyConversationId,
    deliver(frame) {
      if (socket.readyState !== socket.OPEN) return;
      // While older events are read out, `ready` sets the pace; live, a reader that far behind is cut and resumes by cursor.
      if (isTooSlow()) {
        return end(
          socket,
          closeCodes.policyViolation,
          'ConsumerTooSlow',
          'You read too slowly. Connect again with the last cursor.',
        );
      }
      socket.send(frame, { binary: true });
    },
    async ready() {
      const deadlineMs = deps.clock.monotonicMs() + readyTimeoutMs;
      while (socket.readyState === socket.OPEN && socket.bufferedAmount > replayBacklogSizeBytes) {
        if (deps.clock.monotonicMs() > deadlineMs) {
          end(
            socket,
            closeCodes.policyViolation,
            'ConsumerTooSlow',
            'You read too slowly. Connect again with the last cursor.',
          );
          return false;
        }
        await deps.clock.sleep(readyPollMs);
      }
      return socket.readyState === socket.OPEN;
    },
  };
}

function end(socket: WebSocket, code: number, error: StreamErrorName, message: string): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.send(errorFrame(error, message), { binary: true });
  socket.close(code, error);
}

/** Pings every half minute; a socket that has not answered by the next ping is gone. */
async function watchLiveness(deps: SocketDeps, socket: WebSocket, signal: AbortSignal): Promise<void> {
  let alive = true;
  socket.on('pong', () => (alive = true));
  while (!signal.aborted) {
    await deps.clock.sleep(pingIntervalMs, signal);
    if (signal.aborted) return;
    if (!alive) return socket.terminate();
    alive = false;
    socket.ping();
  }
}

type MessageListener = (data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean) => void;

/** Typing frames come in from members; everything else a client says is ignored (wire contract D.3). */
function typingReader(
  deps: SocketDeps,
  request: StreamRequest,
  subscription: () => Subscription | undefined,
): MessageListener {
  let secondStartedMs = 0;
  let framesThisSecond = 0;
  return (data, isBinary) => {
    const nowMs = deps.clock.monotonicMs();
    if (nowMs - secondStartedMs >= 1_000) {
      secondStartedMs = nowMs;
      framesThisSecond = 0;
    }
    framesThisSecond += 1;
    if (framesThisSecond > typingFramesPerSecondMax || !Buffer.isBuffer(data)) return;
    const typing = parseTyping(data, isBinary);
    if (typing === undefined || subscription()?.conversationIds.has(typing.groupId.toString('hex')) !== true) return;
    deps.bus.sendTyping({ ...typing, did: request.did });
  };
}

function parseTyping(data: Buffer, isBinary: boolean): { groupId: Buffer; isTyping: boolean } | undefined {
  let frame: unknown;
  try {
    frame = isBinary ? decode(data) : JSON.parse(data.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof frame !== 'object' || frame === null || !('$type' in frame) || frame.$type !== `${nsid}#typing`)
    return undefined;
  const convoId = 'convoId' in frame ? frame.convoId : undefined;
  const groupId = typeof convoId === 'string' ? decodeGroupId(convoId) : undefined;
  return groupId && { groupId, isTyping: 'isTyping' in frame && frame.isTyping === true };
}
