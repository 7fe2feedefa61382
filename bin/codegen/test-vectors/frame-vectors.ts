import { encode } from '@atproto/lex-cbor';
import type { CursorCodec } from '#domain/events/cursor.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import {
  ephemeralFrame,
  errorFrame,
  eventFrame,
  infoFrame,
  lowKeyPackagesFrame,
  newDeviceFrame,
  startFrame,
  typingFrame,
} from '#stream/frames.ts';
import type { Frame } from '#stream/frames.ts';
import { hexOf, made, madeBytes } from './vector-file.ts';
import type { VectorFile } from './vector-file.ts';

/** A frame of a stream in both encodings, or bytes that a client must refuse. */
export interface FrameVector {
  readonly name: string;
  /** A binary WebSocket message of subscribeConvoEvents. */
  readonly webSocket?: string;
  /** The same event in streamConvoEvents, as text. */
  readonly serverSentEvents?: string;
  /** The first map of `webSocket`. */
  readonly header?: unknown;
  /** The second map; bytes are `{"$bytes": base64}`. */
  readonly body?: unknown;
  /** What a client does with the frame; absent: it processes the event. */
  readonly outcome?: 'error of the service' | 'refused';
}

const groupId = madeBytes('groupId');
const receivedAt = new Date('2026-01-01T00:00:00.000Z');
const { cursor, laterCursor, aliceDid: alice, bobDid: bob } = made;
const codec: CursorCodec = { encode: () => cursor, decode: () => undefined };
const position = { position: 1, groupId, eventNo: 1, receivedAt };
const messageId = '00000000-0000-4000-8000-000000000001';

function padded(message: Buffer): Buffer {
  const envelope = Buffer.alloc(512);
  envelope.writeUInt32BE(message.length);
  message.copy(envelope, 4);
  return envelope;
}

const application = {
  id: messageId,
  groupId,
  seq: 1,
  epoch: 1,
  receivedAt,
  ciphertext: padded(madeBytes('application')),
};

type Content = StreamEvent extends infer Event
  ? Event extends StreamEvent
    ? Omit<Event, keyof typeof position>
    : never
  : never;

function event(name: string, content: Content): FrameVector {
  // The compiler does not join the two parts of a union again.
  return vector(name, eventFrame(codec, { ...position, ...content } as StreamEvent));
}

function vector(name: string, sent: Frame): FrameVector {
  const text = sent.sse().toString();
  const body: unknown = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '');
  const { $type }: { $type?: string } = body as object;
  const header = { op: 1, t: `#${$type?.split('#')[1] ?? ''}` };
  return { name, webSocket: hexOf(sent.cbor()), serverSentEvents: text, header, body };
}

function events(): FrameVector[] {
  const commit = { id: `commit-${messageId}`, groupId, seq: 2, epoch: 2, receivedAt };
  return [
    vector('the first frame of a stream', startFrame(cursor, 'streamOpened')),
    vector('the first frame after a cursor that this database does not have', startFrame(cursor, 'cursorUnknown')),
    vector('the notice after a cursor whose events have expired', startFrame(cursor, 'eventsExpired')),
    event('a message', { kind: 'message', message: { ...application, kind: 'app' } }),
    event('a commit', {
      kind: 'message',
      message: { ...commit, kind: 'commit', ciphertext: madeBytes('publicCommit') },
    }),
    vector('a message that is not stored', ephemeralFrame(cursor, application)),
    ...(['joined', 'left', 'removed'] as const).map((action) =>
      event(`a member who has ${action === 'removed' ? 'been removed' : action}`, {
        kind: 'membership',
        did: bob,
        action,
        epoch: 1,
      }),
    ),
    event('a member who is an admin from now on', { kind: 'role', did: bob, role: 'admin', epoch: 1 }),
    event('a request for a GroupInfo', { kind: 'groupInfoRefreshRequested', did: bob }),
    event('a request to be added again', { kind: 'readditionRequested', did: bob }),
    event('a warning', { kind: 'warning', did: bob, warning: { id: messageId, reason: 'Please stop.' } }),
    vector('a person who is typing', typingFrame(cursor, { groupId, did: alice, isTyping: true })),
    vector(
      'a device that waits to be added',
      newDeviceFrame(cursor, {
        id: `${made.groupId}-${messageId}`,
        groupId,
        did: bob,
        deviceId: messageId,
        deviceName: 'tablet',
        claimedBy: undefined,
        createdAt: receivedAt,
      }),
    ),
    vector('few key packages left', lowKeyPackagesFrame(cursor, { deviceId: messageId, available: 2, isLow: true })),
    vector('a notice with another cursor', infoFrame(laterCursor, 'A notice of the service.')),
  ];
}

function errors(): FrameVector[] {
  const texts = {
    ConsumerTooSlow: 'You read too slowly. Connect again with the last cursor.',
    InternalError: 'Something went wrong. Connect again with the last cursor.',
    JwtRevoked: 'The operator of this service refuses older tokens of this account.',
  } as const;
  return (Object.keys(texts) as (keyof typeof texts)[]).map((error) => ({
    name: `the error ${error}`,
    webSocket: hexOf(errorFrame(error, texts[error])),
    header: { op: -1 },
    body: { error, message: texts[error] },
    outcome: 'error of the service',
  }));
}

function refused(): FrameVector[] {
  const whole = startFrame(cursor, 'streamOpened').cbor();
  const header = encode({ op: 1, t: '#infoEvent' });
  const body = { $type: 'blue.catbird.mls.subscribeConvoEvents#infoEvent', cursor, info: '' };
  const frames: readonly (readonly [string, Uint8Array])[] = [
    ['a frame without its last byte', whole.subarray(0, -1)],
    ['a frame with a third map', Buffer.concat([whole, encode({})])],
    ['only a header', header],
    ['no bytes', Buffer.alloc(0)],
    ['a header that is no map', Buffer.concat([encode(1), encode(body)])],
    ['an operation that the encoding does not have', Buffer.concat([encode({ op: 2, t: '#infoEvent' }), encode(body)])],
    ['a body without a cursor', Buffer.concat([header, encode({ $type: body.$type, info: '' })])],
    ['a body without a type', Buffer.concat([header, encode({ cursor, info: '' })])],
    ['a body of another lexicon', Buffer.concat([header, encode({ ...body, $type: 'com.example.other#infoEvent' })])],
    // {"op": 1, "op": 1}
    ['a map with a key twice', Buffer.concat([Buffer.from('a2626f7001626f7001', 'hex'), encode(body)])],
  ];
  return frames.map(([name, bytes]) => ({ name, webSocket: hexOf(bytes), outcome: 'refused' }));
}

/** `frames.json`. */
export function frameVectors(): VectorFile<FrameVector> {
  return {
    about:
      'Frames of the live stream: a WebSocket message has two DAG-CBOR maps, header and body; server-sent events have the body as JSON behind "data: ". docs/streams.md explains them.',
    vectors: [...events(), ...errors(), ...refused()],
  };
}
