import { cipherSuite } from '../cipher-suites.ts';
import { refHash } from '../encoding/labelled.ts';

/**
 * Computes the KeyPackageRef (RFC 9420 section 5.2).
 * @param keyPackage the KeyPackage without the MLSMessage header.
 * @param suiteNumber the wire number of the suite of the KeyPackage.
 * @returns undefined for an unknown suite.
 */
export function keyPackageRef(keyPackage: Uint8Array, suiteNumber: number): Buffer | undefined {
  const suite = cipherSuite(suiteNumber);
  return suite && Buffer.from(refHash('MLS 1.0 KeyPackage Reference', keyPackage, suite.hash));
}
