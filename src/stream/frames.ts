import { encode } from '@atproto/lex-cbor';
import type { LexValue } from '@atproto/lex-schema';
import type { CursorCodec } from '#domain/events/cursor.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { formatConversationId } from '#domain/conversations/conversation.ts';
import type { EphemeralMessage } from '#domain/messages/send-ephemeral-message.ts';

const nsid = 'blue.catbird.mls.subscribeConvoEvents';

/** A frame is two DAG-CBOR maps, header then body (atproto event stream encoding). */
function frame(type: string, body: Record<string, LexValue>): Buffer {
  const header = encode({ op: 1, t: `#${type}` });
  return Buffer.concat([header, encode({ $type: `${nsid}#${type}`, ...body })]);
}

/** The frame of a stored event; it is the same for every subscriber, so it is made once. */
export function eventFrame(codec: CursorCodec, event: StreamEvent): Buffer {
  const cursor = codec.encode({ ...event, receivedAtMs: event.receivedAt.getTime() });
  const convoId = formatConversationId(event.groupId);
  switch (event.kind) {
    case 'message': {
      const { id, epoch, seq, receivedAt, kind, ciphertext } = event.message;
      const createdAt = receivedAt.toISOString();
      return frame('messageEvent', {
        cursor,
        message: { id, convoId, ciphertext, epoch, seq, createdAt, messageType: kind },
      });
    }
    case 'membership':
      return frame('membershipChangeEvent', {
        cursor,
        convoId,
        did: event.did,
        action: event.action,
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
  }
}

/** The frame of a message that is not stored; `cursor` is that of the last stored event, so that it may be kept. */
export function ephemeralFrame(cursor: string, message: EphemeralMessage): Buffer {
  const { id, groupId, epoch, ciphertext } = message;
  return frame('messageEvent', {
    cursor,
    message: {
      id,
      convoId: formatConversationId(groupId),
      ciphertext,
      epoch,
      seq: 0,
      createdAt: message.receivedAt.toISOString(),
      messageType: 'app',
    },
    ephemeral: true,
  });
}

/** Somebody types, or stopped; `cursor` as for ephemeral messages. */
export function typingFrame(cursor: string, typing: { groupId: Buffer; did: string; isTyping: boolean }): Buffer {
  const { did, isTyping } = typing;
  return frame('typingEvent', { cursor, convoId: formatConversationId(typing.groupId), did, isTyping });
}

/** A remark of the server on the stream itself. */
export function infoFrame(cursor: string, info: string): Buffer {
  return frame('infoEvent', { cursor, info });
}

/** Why the server ends the stream. */
export type StreamErrorName = 'ConsumerTooSlow' | 'InvalidCursor' | 'InternalError';

export function errorFrame(error: StreamErrorName, message: string): Buffer {
  return Buffer.concat([encode({ op: -1 }), encode({ error, message })]);
}
