import { encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import type { PendingAddition } from '#domain/device-additions/device-addition.ts';
import { deviceDid } from '#domain/devices/device.ts';
import type { DeviceKeyPackageCount } from '#domain/devices/count-device-key-packages.ts';
import type { CursorCodec } from '#domain/events/cursor.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { encodeJson } from '#platform/encode-json.ts';
import { formatConversationId } from '#domain/conversations/conversation.ts';
import { commitDigest } from '#domain/messages/commit-digest.ts';
import type { EphemeralMessage } from '#domain/messages/send-ephemeral-message.ts';

const nsid = 'blue.catbird.mls.subscribeConvoEvents';

/**
 * An event in the encodings that subscribers get. Each encoding is made at its first use and shared by all subscribers.
 */
export interface Frame {
  /** A client that has received this frame resumes from this cursor. */
  readonly cursor: string;
  /** Approximate size of one encoding in bytes. */
  readonly sizeBytes: number;
  /** Returns a header and a body as two DAG-CBOR maps (atproto event stream encoding). */
  cbor(): Buffer;
  /** Returns an `id:` line and a `data:` line of JSON (WHATWG HTML, server-sent events). */
  sse(): Buffer;
}

type FrameBody = Readonly<Record<string, LexValue>> & { readonly cursor: string };

/** Upper estimate of the size of all fields except the ciphertext. */
const fieldsSizeBytes = 512;

function frame(type: string, fields: FrameBody, ciphertext?: Uint8Array): Frame {
  const { cursor } = fields;
  const body = { $type: `${nsid}#${type}`, ...fields };
  let cbor: Buffer | undefined;
  let sse: Buffer | undefined;
  return {
    cursor,
    sizeBytes: (ciphertext?.length ?? 0) + fieldsSizeBytes,
    cbor: () => (cbor ??= Buffer.concat([encode({ op: 1, t: `#${type}` }), encode(body)])),
    sse: () => (sse ??= Buffer.from(`id: ${cursor}\ndata: ${encodeJson(body)}\n\n`)),
  };
}

/** Creates the frame of a stored event, which is the same for every subscriber. */
export function eventFrame(codec: CursorCodec, event: StreamEvent): Frame {
  const cursor = codec.encode({ ...event, receivedAtMs: event.receivedAt.getTime() });
  const convoId = formatConversationId(event.groupId);
  switch (event.kind) {
    case 'message': {
      const { id, epoch, seq, receivedAt, kind, ciphertext } = event.message;
      const createdAt = receivedAt.toISOString();
      const view = { id, convoId, ciphertext, epoch, seq, createdAt, messageType: kind };
      const message = kind === 'commit' ? { ...view, digest: commitDigest(ciphertext) } : view;
      return frame('messageEvent', { cursor, message }, ciphertext);
    }
    case 'membership':
      return frame('membershipChangeEvent', {
        cursor,
        convoId,
        did: event.did,
        action: event.action,
        epoch: event.epoch,
      });
    case 'role':
      // A new type of frame would end the streams of public clients, but they skip an action that they do not know.
      return frame('membershipChangeEvent', {
        cursor,
        convoId,
        did: event.did,
        action: 'roleChanged',
        role: event.role,
        epoch: event.epoch,
      });
    case 'groupInfoRefreshRequested':
      return frame('groupInfoRefreshRequestedEvent', {
        cursor,
        convoId,
        requestedBy: event.did,
        requestedAt: event.receivedAt.toISOString(),
      });
    case 'readditionRequested':
      return frame('readditionRequestedEvent', {
        cursor,
        convoId,
        userDid: event.did,
        requestedAt: event.receivedAt.toISOString(),
      });
    case 'warning': {
      const { id, reason } = event.warning;
      return frame('infoEvent', { cursor, info: `You were warned: ${reason}`, convoId, warningId: id, reason });
    }
  }
}

/**
 * Creates the frame of a message that is not stored. `cursor` is the cursor of the last stored event, so that clients
 * can resume from it.
 */
export function ephemeralFrame(cursor: string, message: EphemeralMessage): Frame {
  const { id, groupId, epoch, ciphertext } = message;
  const view = {
    id,
    convoId: formatConversationId(groupId),
    ciphertext,
    epoch,
    seq: 0,
    createdAt: message.receivedAt.toISOString(),
    messageType: 'app',
  };
  return frame('messageEvent', { cursor, message: view, ephemeral: true }, ciphertext);
}

/** Creates the frame of a typing notice, which is not stored. `cursor` is the cursor of the last stored event. */
export function typingFrame(cursor: string, typing: { groupId: Buffer; did: string; isTyping: boolean }): Frame {
  const { did, isTyping } = typing;
  return frame('typingEvent', { cursor, convoId: formatConversationId(typing.groupId), did, isTyping });
}

/**
 * Creates the frame of a device that waits to be added to a conversation, which is not stored. `cursor` is the cursor
 * of the last stored event.
 */
export function newDeviceFrame(cursor: string, addition: PendingAddition): Frame {
  const { id, groupId, did, deviceId, deviceName } = addition;
  return frame('newDeviceEvent', {
    cursor,
    convoId: formatConversationId(groupId),
    userDid: did,
    deviceId,
    deviceName,
    deviceCredentialDid: deviceDid(did, deviceId),
    pendingAdditionId: id,
  });
}

/** Creates a notice of the server about the stream. */
export function infoFrame(cursor: string, info: string): Frame {
  return frame('infoEvent', { cursor, info });
}

const notices = {
  streamOpened: 'The stream is open. Later events have later cursors.',
  cursorUnknown: 'The cursor is not one of this database. Fetch what is missing with getMessages.',
  eventsExpired: 'Events after the cursor have expired. Fetch what is missing with getMessages.',
} as const;

/** Creates a notice of the server about the start of a stream, with a code for programs. */
export function startFrame(cursor: string, code: keyof typeof notices): Frame {
  return frame('infoEvent', { cursor, info: notices[code], code });
}

/**
 * Creates the notice that a device of the subscriber has few key packages left. `cursor` is the cursor of the last
 * stored event.
 */
export function lowKeyPackagesFrame(cursor: string, { deviceId, available }: DeviceKeyPackageCount): Frame {
  const info = 'A device of yours is low on key packages. Publish more from it.';
  return frame('infoEvent', { cursor, info, code: 'keyPackagesLow', deviceId, available });
}

/** The reason for which the server ends a stream. */
export type StreamErrorName = 'ConsumerTooSlow' | 'InternalError' | 'JwtRevoked';

export function errorFrame(error: StreamErrorName, message: string): Buffer {
  return Buffer.concat([encode({ op: -1 }), encode({ error, message })]);
}
