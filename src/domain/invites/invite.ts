import type { Privacy } from '#privacy/privacy.ts';

/** An invite as admins and its creator see it (lexicon `inviteView`). */
export interface Invite extends InviteDetails {
  readonly inviteId: string;
  readonly groupId: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
  readonly maxUses: number | undefined;
  readonly useCount: number;
  readonly revoked: { readonly at: Date; readonly byDid: string } | undefined;
}

/** The values of an invite that the row stores sealed. */
export interface InviteDetails {
  /** SHA-256 of the invite's secret in lower-case hex. A client that presents this hash may join. */
  readonly pskHash: string;
  readonly createdByDid: string;
  /** The only person who may use the invite; undefined if it is for everyone. */
  readonly targetDid?: string | undefined;
}

const pskHashHex = /^[0-9a-f]{64}$/;

/** Decodes a PSK hash from hex of either case. @returns the 32 bytes, or undefined for other text. */
export function decodePskHash(hex: string): Buffer | undefined {
  const lower = hex.toLowerCase();
  return pskHashHex.test(lower) ? Buffer.from(lower, 'hex') : undefined;
}

/** Computes the pseudonym by which an invite is found from its PSK hash. */
export function inviteSecret(privacy: Privacy, groupId: Buffer, pskHash: Uint8Array): Buffer {
  return privacy.pseudonym('invite-secret', [groupId], pskHash);
}
