import { cipherSuite } from '../cipher-suites.ts';
import { refHash } from '../encoding/labelled.ts';

/**
 * KeyPackageRef, RFC 9420 section 5.2.
 * @param keyPackage without an MLSMessage around it.
 * @param suiteNumber wire number; undefined is returned for one that the service does not know.
 */
export function keyPackageRef(keyPackage: Uint8Array, suiteNumber: number): Buffer | undefined {
  const suite = cipherSuite(suiteNumber);
  return suite && Buffer.from(refHash('MLS 1.0 KeyPackage Reference', keyPackage, suite.hash));
}
