import { newUuid } from '#platform/ids.ts';
import { required } from '#platform/errors.ts';
import { craftApplication } from '../../test/support/mls/crafted-mls.ts';
import type { SeededConversation } from './conversations.ts';
import { postRequest } from './http-connection.ts';

/** A prepared send request, and the id by which subscribers identify its message. */
export interface ReadySend {
  readonly msgId: string;
  readonly request: Buffer;
}

/** The size of a message in all workloads. */
const bodySizeBytes = 1_024;

/**
 * Prepares sends of 1 KiB, each to a random one of `conversations` and with a signed token, so that a measurement does
 * not include this work.
 */
export function readySends(conversations: readonly SeededConversation[], count: number): ReadySend[] {
  return Array.from({ length: count }, () => {
    const conversation = conversations[Math.floor(Math.random() * conversations.length)];
    return readySend(required(conversation, 'a conversation'));
  });
}

/** Prepares the send of one message by one of the first two members. */
export function readySend({ groupId, id, members }: SeededConversation): ReadySend {
  const [creator, second = creator] = members;
  const sender = Math.random() < 0.5 ? creator : second;
  const msgId = newUuid();
  const ciphertext = craftApplication(groupId, 0, bodySizeBytes).toString('base64');
  const body = { convoId: id, msgId, epoch: 0, paddedSize: bodySizeBytes, ciphertext: { $bytes: ciphertext } };
  return { msgId, request: postRequest('sendMessage', sender.mintToken('sendMessage'), JSON.stringify(body)) };
}
