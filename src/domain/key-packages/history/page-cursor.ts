import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** Identifies the last package of a page. The ref is part of it because several packages can have the same time. */
export interface PackagePagePosition {
  readonly at: Date;
  readonly ref: Buffer;
}

/**
 * Seals the position of a page, because its time shows when a package was used. Only the same caller can open the
 * cursor, and only for the same list.
 */
export function sealPackageCursor(
  privacy: Privacy,
  caller: Caller,
  list: string,
  position: PackagePagePosition,
): string {
  const text = `${position.at.getTime()} ${position.ref.toString('hex')}`;
  return privacy.sealText('page-cursor', [list, caller.did], text).toString('base64url');
}

/** Opens a cursor that `sealPackageCursor` made. @throws AppError InvalidCursor. */
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
