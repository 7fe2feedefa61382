import { newSecret, newUuid } from '#platform/ids.ts';
import { craftApplication } from './crafted-mls.ts';
import type { ResponseOf, RequestOf, XrpcClient } from '../clients/xrpc-client.ts';

/** A conversation at epoch 0 whose messages have MLS framing and random ciphertexts, for tests without cryptography. */
export interface CraftedConversation {
  readonly convoId: string;
  readonly groupId: Buffer;
}

export const craftedSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

export async function createCraftedConversation(
  creator: XrpcClient,
  others: readonly XrpcClient[],
): Promise<CraftedConversation> {
  const groupId = newSecret(16);
  const convoId = groupId.toString('hex');
  const initialMembers = others.map(({ did }) => did);
  await creator.call('createConvo', { groupId: convoId, cipherSuite: craftedSuite, initialMembers });
  return { convoId, groupId };
}

export interface CraftedMessage {
  readonly msgId?: string;
  readonly epoch?: number;
  readonly sizeBytes?: number;
  readonly delivery?: 'persistent' | 'ephemeral';
}

/** Makes the body of a sendMessage request. */
export function craftMessage(
  conversation: CraftedConversation,
  message: CraftedMessage = {},
): RequestOf<'sendMessage'> {
  const { msgId = newUuid(), epoch = 0, sizeBytes = 512, delivery = 'persistent' } = message;
  const ciphertext = craftApplication(conversation.groupId, epoch, sizeBytes);
  return { convoId: conversation.convoId, msgId, epoch, ciphertext, paddedSize: ciphertext.length, delivery };
}

export function sendCrafted(
  sender: XrpcClient,
  conversation: CraftedConversation,
  message: CraftedMessage = {},
): Promise<ResponseOf<'sendMessage'>> {
  return sender.call('sendMessage', craftMessage(conversation, message));
}
