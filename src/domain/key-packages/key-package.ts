import { keyPackageRef } from '#mls/key-packages/key-package-ref.ts';
import { required } from '#platform/errors.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';

/**
 * Numbers that the database stores for the states of a package. A one-time package is handed out to one caller only,
 * and is consumed by the Welcome that uses it (RFC 9420 section 10).
 */
export const keyPackageStates = { available: 1, handedOut: 2, consumed: 3 } as const;

/** A package that a caller got in order to add its owner to a conversation (lexicon `keyPackageRef`). */
export interface HandedOutKeyPackage {
  readonly did: string;
  readonly ref: Buffer;
  readonly keyPackage: Buffer;
}

/** Computes the pseudonym of a package's owner. No table except `key_packages` contains it. */
export function keyPackageOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('key-package-owner', [], did);
}

/**
 * Computes the pseudonym of the caller who got a package. It depends on the owner, so that claims of two owners'
 * packages cannot be linked.
 */
export function keyPackageClaimer(privacy: Privacy, owner: Buffer, callerDid: string): Buffer {
  return privacy.pseudonym('key-package-claimer', [owner], callerDid);
}

/**
 * Computes the pseudonym of a device's signature key. The rows of a device and of its key packages have the same tag.
 */
export function deviceTag(privacy: Privacy, did: string, signatureKey: Uint8Array): Buffer {
  return privacy.pseudonym('device-tag', [did], signatureKey);
}

/**
 * Computes the pseudonym under which a package is stored. Rows do not contain the KeyPackageRef, because every caller
 * who once claimed the package knows it.
 */
export function storedRef(privacy: Privacy, ref: Uint8Array): Buffer {
  return privacy.pseudonym('key-package-ref', [], ref);
}

/** Unseals a stored package and computes its KeyPackageRef. */
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
