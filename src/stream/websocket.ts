import { decode } from '@atproto/lex-cbor';
import type { WebSocket } from 'ws';
import { decodeGroupId } from '#domain/conversations/conversation.ts';
import type { EphemeralBus } from './ephemeral-bus.ts';
import { errorFrame } from './frames.ts';
import type { Subscription } from './hub.ts';
import { admitStreamRequest, serveStream } from './serve-stream.ts';
import type { SharedInterval } from './shared-interval.ts';
import type { StreamConnection, StreamDeps, StreamRequest } from './serve-stream.ts';

export interface SocketDeps extends StreamDeps {
  readonly bus: EphemeralBus;
  /** The interval between two pings of a socket, usually `pingIntervalMs`. */
  readonly pings: SharedInterval;
}

/** Close codes of RFC 6455 section 7.4.1 and the IANA registry. */
const closeCodes = {
  serviceRestart: 1012,
  ConsumerTooSlow: 1008,
  InternalError: 1011,
  JwtRevoked: 1008,
} as const;

export const pingIntervalMs = 30_000;
const binaryFrame = { binary: true } as const;
const typingFramesPerSecondMax = 5;
const nsid = 'blue.catbird.mls.subscribeConvoEvents';

/**
 * Runs the checks that are possible before the socket opens.
 * @returns a function that serves the socket until it closes.
 * @throws AppError TooManyConnections.
 */
export async function openSocketStream(deps: SocketDeps, request: StreamRequest): Promise<(socket: WebSocket) => void> {
  const admitted = await admitStreamRequest(deps, request);
  return (socket) => {
    const connection = connectionOf(deps, request, socket);
    const { subscription } = serveStream(deps, admitted, connection);
    const typing = typingReader(deps, request, subscription);
    socket.on('message', (data, isBinary) => typing(data, isBinary));
    pingUntilClosed(deps.pings, socket);
  };
}

function connectionOf({ clock }: SocketDeps, { did }: StreamRequest, socket: WebSocket): StreamConnection {
  const closed = new AbortController();
  socket.on('error', () => socket.terminate());
  // With a reason, because abort makes an exception object with a stack otherwise.
  socket.on('close', () => closed.abort('closed'));
  return {
    transport: 'websocket',
    did,
    openedAtMs: clock.nowMs(),
    closed: closed.signal,
    isOpen: () => socket.readyState === socket.OPEN,
    backlogSizeBytes: () => socket.bufferedAmount,
    send: (frame) => socket.send(frame.cbor(), binaryFrame),
    end(error, message) {
      if (socket.readyState !== socket.OPEN) return;
      socket.send(errorFrame(error, message), binaryFrame);
      socket.close(closeCodes[error], error);
    },
    close: () => socket.close(closeCodes.serviceRestart, 'The server restarts. Connect again with the last cursor.'),
    terminate: () => socket.terminate(),
  };
}

/** Sends a ping in each interval and terminates a socket that sent no pong before the next ping. */
function pingUntilClosed(pings: SharedInterval, socket: WebSocket): void {
  let alive = true;
  const stop = pings.add(() => {
    if (!alive) return socket.terminate();
    alive = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  });
  socket.on('pong', () => (alive = true));
  socket.on('close', stop);
}

type MessageListener = (data: Buffer | ArrayBuffer | Buffer[], isBinary: boolean) => void;

/** Returns a listener that handles typing frames from members and ignores every other frame of a client. */
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
