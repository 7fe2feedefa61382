import type { Privacy } from '#privacy/privacy.ts';
import type { ConversationMetadata } from './conversation.ts';

/** The name that clients gave a conversation, if they let the service see one. */
export function openMetadata(
  privacy: Privacy,
  row: { groupId: Buffer; sealedMetadata: Buffer | null },
): ConversationMetadata | undefined {
  const { groupId, sealedMetadata } = row;
  if (sealedMetadata === null) return undefined;
  return JSON.parse(privacy.unsealText('conversation-metadata', [groupId], sealedMetadata)) as ConversationMetadata;
}
