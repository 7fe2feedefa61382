import type { Privacy } from '#privacy/privacy.ts';
import type { ConversationMetadata } from './conversation.ts';

/**
 * Unseals the name and description that clients sent to the service.
 * @returns undefined if clients sent neither.
 */
export function openMetadata(
  privacy: Privacy,
  row: { groupId: Buffer; sealedMetadata: Buffer | null },
): ConversationMetadata | undefined {
  const { groupId, sealedMetadata } = row;
  if (sealedMetadata === null) return undefined;
  return JSON.parse(privacy.unsealText('conversation-metadata', [groupId], sealedMetadata)) as ConversationMetadata;
}
