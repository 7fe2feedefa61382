import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { newSecret } from '#platform/ids.ts';
import type { Workload } from '../workloads/workload.ts';

/** A key package has a signature of its own and one in its leaf (RFC 9420 sections 10 and 7.2). */
const signaturesPerPackage = 2;
const signedSizeBytes = 250;
const packages = 4_000;

/** The key packages whose signatures the library alone checks, to compare `publish-key-packages` with. */
export const bareSignatures: Workload = {
  name: 'bare-signatures',
  title: 'Reference: key packages whose Ed25519 signatures the library alone checks',
  unit: 'key package',
  isReference: true,
  async prepare() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const signed = Array.from({ length: packages * signaturesPerPackage }, () => {
      const content = newSecret(signedSizeBytes);
      return { content, signature: sign(null, content, privateKey) };
    });
    return {
      async run() {
        const startedMs = performance.now();
        const areValid = signed.every(({ content, signature }) => verify(null, content, publicKey, signature));
        if (!areValid) throw new Error('a signature was refused');
        return { operations: packages, seconds: (performance.now() - startedMs) / 1_000, latenciesMs: [] };
      },
    };
  },
};
