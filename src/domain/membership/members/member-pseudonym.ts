import type { Privacy } from '#privacy/privacy.ts';

/** A person's pseudonym in one conversation; it differs from their pseudonym in every other conversation. */
export function memberPseudonym(privacy: Privacy, groupId: Buffer, did: string): Buffer {
  return privacy.pseudonym('member', [groupId], did);
}
