import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** The last package of a page: a time, which many packages share, and its reference, which none does. */
export interface PackagePagePosition {
  readonly at: Date;
  readonly ref: Buffer;
}

/** Sealed to the caller and the list, since a place tells when somebody else's package was used. */
export function sealPackageCursor(privacy: Privacy, caller: Caller, list: string, place: PackagePagePosition): string {
  const text = `${place.at.getTime()} ${place.ref.toString('hex')}`;
  return privacy.sealText('page-cursor', [list, caller.did], text).toString('base64url');
}

/** @throws AppError InvalidCursor. */
export function openPackageCursor(privacy: Privacy, caller: Caller, list: string, cursor: string): PackagePagePosition {
  try {
    const text = privacy.unsealText('page-cursor', [list, caller.did], Buffer.from(cursor, 'base64url'));
    const [at = '', ref = ''] = text.split(' ');
    return { at: new Date(Number(at)), ref: Buffer.from(ref, 'hex') };
  } catch (error) {
    if (error instanceof SealError) throw domainError('InvalidCursor');
    throw error;
  }
}
