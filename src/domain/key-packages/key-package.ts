import { keyPackageRef } from '#mls/key-packages/key-package-ref.ts';
import { required } from '#platform/errors.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';

/**
 * States, as stored: a package is handed out to one caller only, and consumed by the Welcome that uses it (RFC 9420
 * section 10).
 */
export const keyPackageStates = { available: 1, handedOut: 2, consumed: 3 } as const;

/** A package that is handed out to a caller who wants to add its owner (lexicon `keyPackageRef`). */
export interface HandedOutKeyPackage {
  readonly did: string;
  readonly ref: Buffer;
  readonly keyPackage: Buffer;
}

/** The pseudonym of a package's owner; no other table has it. */
export function keyPackageOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('key-package-owner', [], did);
}

/**
 * The pseudonym of the caller who got a package; scoped to the owner, so that claims of two owners' packages cannot be
 * linked.
 */
export function keyPackageClaimer(privacy: Privacy, owner: Buffer, callerDid: string): Buffer {
  return privacy.pseudonym('key-package-claimer', [owner], callerDid);
}

/** The pseudonym of a device's signature key; the rows of a device and of its key packages have the same tag. */
export function deviceTag(privacy: Privacy, did: string, signatureKey: Uint8Array): Buffer {
  return privacy.pseudonym('device-tag', [did], signatureKey);
}

/**
 * The pseudonym under which a package is stored, because every caller who once claimed the package has its
 * KeyPackageRef.
 */
export function storedRef(privacy: Privacy, ref: Uint8Array): Buffer {
  return privacy.pseudonym('key-package-ref', [], ref);
}

/** Opens a stored package and computes its KeyPackageRef. */
export function openKeyPackage(
  privacy: Privacy,
  row: { readonly ref: Buffer; readonly cipherSuite: number; readonly sealedPackage: Buffer },
): { readonly ref: Buffer; readonly keyPackage: Buffer } {
  const keyPackage = Buffer.from(unpadFromBucket(privacy.unseal('key-package', [row.ref], row.sealedPackage)));
  return {
    ref: required(keyPackageRef(keyPackage, row.cipherSuite), 'the cipher suite of a stored package'),
    keyPackage,
  };
}
