import { createRequire } from 'node:module';
import { createHash } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { newSecret } from '#platform/ids.ts';
import { randomPlcDid } from '../../test/support/clients/account.ts';
import type { BenchServer } from '../server/bench-server.ts';

interface Secp256k1 {
  publicKeyCreate(privateKey: Uint8Array): Uint8Array;
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array };
}

/** An account whose tokens are signed by native code, because the load generator needs its CPU time for requests. */
export interface Person {
  readonly did: string;
  /** Signs a service token for `method` that is valid for 290 seconds. */
  readonly mintToken: (method: string) => string;
}

const secp256k1 = createRequire(import.meta.url)('secp256k1') as Secp256k1;
const tokenLifetimeSeconds = 290;

export function createPerson(server: Pick<BenchServer, 'plc' | 'serviceDid'>): Person {
  const did = randomPlcDid();
  const privateKey = newSecret(32);
  const publicKey = Buffer.concat([Buffer.of(0xe7, 0x01), secp256k1.publicKeyCreate(privateKey)]);
  server.plc.register({
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: did,
    verificationMethod: [
      { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: base58btc.encode(publicKey) },
    ],
  });
  const header = Buffer.from(JSON.stringify({ alg: 'ES256K', typ: 'JWT' })).toString('base64url');
  return {
    did,
    mintToken(method) {
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const claims = {
        iss: did,
        aud: server.serviceDid,
        lxm: `blue.catbird.mls.${method}`,
        iat: nowSeconds,
        exp: nowSeconds + tokenLifetimeSeconds,
        jti: newSecret(12).toString('base64url'),
      };
      const input = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
      const { signature } = secp256k1.ecdsaSign(createHash('sha256').update(input).digest(), privateKey);
      return `${input}.${Buffer.from(signature).toString('base64url')}`;
    },
  };
}
