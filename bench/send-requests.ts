import { newUuid } from '#platform/ids.ts';
import { craftApplication } from '../test/support/mls/crafted-mls.ts';
import { postRequest } from './http-load.ts';
import type { Seed } from './seed.ts';

/** A prepared send request, and the id by which subscribers identify its message. */
export interface ReadySend {
  readonly msgId: string;
  readonly request: Buffer;
}

const bodySizeBytes = 1_024;

/**
 * Prepares sends of 1 KiB to random conversations, each with a signed token, so that a measurement does not include
 * this work.
 */
export function readySends(seed: Seed, count: number): ReadySend[] {
  return Array.from({ length: count }, () => {
    const conversation = seed.conversations[Math.floor(Math.random() * seed.conversations.length)];
    if (conversation === undefined) throw new Error('no conversations');
    const sender = conversation.members[Math.random() < 0.5 ? 0 : 1];
    const msgId = newUuid();
    const ciphertext = craftApplication(conversation.groupId, 0, bodySizeBytes).toString('base64');
    const body = {
      convoId: conversation.id,
      msgId,
      epoch: 0,
      paddedSize: bodySizeBytes,
      ciphertext: { $bytes: ciphertext },
    };
    return { msgId, request: postRequest('sendMessage', sender.mintToken('sendMessage'), JSON.stringify(body)) };
  });
}
