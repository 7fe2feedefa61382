import { keyPackageRef } from '#mls/key-packages/key-package-ref.ts';
import { required } from '#platform/errors.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** A package is handed out to one caller for good, and consumed with the Welcome that uses it (RFC 9420 section 10). */
export const keyPackageStates = { available: 1, handedOut: 2, consumed: 3 } as const;

/** A package as handed to somebody who wants to add its owner (lexicon `keyPackageRef`). */
export interface HandedOutKeyPackage {
  readonly did: string;
  readonly ref: Buffer;
  readonly keyPackage: Buffer;
}

/** Whose packages these are; it stands in no other table. */
export function keyPackageOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('key-package-owner', [], did);
}

/** Who got a package, scoped to its owner, so that one caller's claims of two people do not match. */
export function keyPackageClaimer(privacy: Privacy, owner: Buffer, callerDid: string): Buffer {
  return privacy.pseudonym('key-package-claimer', [owner], callerDid);
}

/** One MLS client of a person: the pseudonym of its signature key. Devices and key packages carry the same tag. */
export function deviceTag(privacy: Privacy, did: string, signatureKey: Uint8Array): Buffer {
  return privacy.pseudonym('device-tag', [did], signatureKey);
}

/** The name of a package's row. The KeyPackageRef itself is known to whoever once fetched the package. */
export function storedRef(privacy: Privacy, ref: Uint8Array): Buffer {
  return privacy.pseudonym('key-package-ref', [], ref);
}

/** A stored package with the KeyPackageRef that is computed from it. */
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
