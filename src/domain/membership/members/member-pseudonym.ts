import type { Privacy } from '#privacy/privacy.ts';

/**
 * Computes a person's pseudonym in a conversation. A person has a different pseudonym in every conversation, so that
 * rows of different conversations cannot be linked to one person.
 */
export function memberPseudonym(privacy: Privacy, groupId: Buffer, did: string): Buffer {
  return privacy.pseudonym('member', [groupId], did);
}
