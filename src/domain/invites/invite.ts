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

/** The sealed content of an invite's row. */
export interface InviteDetails {
  /** SHA-256 of the invite's secret in lower-case hex; a client that presents it may join. */
  readonly pskHash: string;
  readonly createdByDid: string;
  /** The only person who may use it. */
  readonly targetDid?: string | undefined;
}

const pskHashHex = /^[0-9a-f]{64}$/;

/** The 32 bytes of a PSK hash in hex of either case, or undefined for other text. */
export function decodePskHash(hex: string): Buffer | undefined {
  const lower = hex.toLowerCase();
  return pskHashHex.test(lower) ? Buffer.from(lower, 'hex') : undefined;
}

/** The pseudonym by which an invite is found from its PSK hash. */
export function inviteSecret(privacy: Privacy, groupId: Buffer, pskHash: Uint8Array): Buffer {
  return privacy.pseudonym('invite-secret', [groupId], pskHash);
}
