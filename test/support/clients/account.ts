import { createPublicKey, ECDH, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { newSecret } from '#platform/ids.ts';
import type { DidDocumentJson, LoopbackPlc } from '../network/loopback-plc.ts';

export type AccountCurve = 'secp256k1' | 'p256';
/** The form of the key in the DID document. */
export type KeyForm = 'multikey' | 'legacy' | 'jwk';

/** Claims of a service token; an explicit undefined omits a claim. */
export interface TokenClaims {
  readonly aud: string;
  readonly lxm: string;
  readonly [claim: string]: unknown;
}

export interface TokenOverrides {
  /** The time that `iat` and `exp` are based on, in seconds since the epoch; default: the system clock. */
  readonly nowSeconds?: number;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** A person with a did:plc and a key that signs service tokens, as a PDS does. */
export interface Account {
  readonly did: string;
  /** Mints a token with a new `jti` that expires after 60 seconds, unless `claims` has other values. */
  mintToken(claims: TokenClaims, overrides?: TokenOverrides): string;
  /** Signs any header and payload text, for malformed tokens. */
  signToken(headerText: string | Buffer, payloadText: string | Buffer): string;
  /** Replaces the key in the directory and signs later tokens with it. A cached document may be used for another second. */
  rotateKey(): void;
  /** The DID document as registered. */
  document(): DidDocumentJson;
  /** The signing key, 32 bytes in base64url, for clients in other languages. */
  signingKey(): string;
  /** The signing key as PKCS #8 in PEM. */
  privateKeyPem(): string;
}

export interface AccountOptions {
  readonly curve?: AccountCurve;
  readonly keyForm?: KeyForm;
  /** Default: a random did:plc. */
  readonly did?: string;
  /** Fragment of the verification method; default: atproto. */
  readonly fragment?: string;
  /** Default: an unreachable URL. */
  readonly pdsUrl?: string;
}

const curves = {
  secp256k1: {
    name: 'secp256k1',
    alg: 'ES256K',
    multicodec: [0xe7, 0x01],
    legacy: 'EcdsaSecp256k1VerificationKey2019',
  },
  p256: { name: 'prime256v1', alg: 'ES256', multicodec: [0x80, 0x24], legacy: 'EcdsaSecp256r1VerificationKey2019' },
} as const;

/** Creates an account and registers its document with `plc`. */
export function createAccount(plc: Pick<LoopbackPlc, 'register'>, options: AccountOptions = {}): Account {
  const { curve = 'secp256k1', keyForm = 'multikey', did = randomPlcDid(), fragment = 'atproto' } = options;
  const { pdsUrl = 'https://pds.invalid' } = options;
  let privateKey: KeyObject;
  const rotateKey = (): void => {
    privateKey = newKey(curve);
    plc.register(document());
  };
  const document = (): DidDocumentJson => ({
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: did,
    verificationMethod: [{ id: `${did}#${fragment}`, controller: did, ...keyFields(privateKey, curve, keyForm) }],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pdsUrl }],
  });
  const signToken: Account['signToken'] = (headerText, payloadText) => {
    const input = `${base64Url(headerText)}.${base64Url(payloadText)}`;
    const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${input}.${signature.toString('base64url')}`;
  };
  rotateKey();
  return {
    did,
    document,
    privateKeyPem: () => privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    signingKey: () => privateKey.export({ format: 'jwk' }).d ?? '',
    rotateKey,
    signToken,
    mintToken(claims, { nowSeconds = Math.floor(Date.now() / 1_000), header = {} } = {}) {
      const times = { iat: nowSeconds, exp: nowSeconds + 60 };
      const payload = { iss: did, ...times, jti: newSecret(16).toString('hex'), ...claims };
      return signToken(JSON.stringify({ typ: 'JWT', alg: curves[curve].alg, ...header }), JSON.stringify(payload));
    },
  };
}

/** 24 random characters of the did:plc alphabet. */
export function randomPlcDid(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return `did:plc:${[...newSecret(24)].map((byte) => alphabet[byte % 32]).join('')}`;
}

function newKey(curve: AccountCurve): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: curves[curve].name }).privateKey;
}

function base64Url(text: string | Buffer): string {
  return Buffer.from(text).toString('base64url');
}

function keyFields(privateKey: KeyObject, curve: AccountCurve, form: KeyForm): Readonly<Record<string, unknown>> {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' });
  const { name, multicodec, legacy } = curves[curve];
  const point = Buffer.concat([
    Buffer.from([4]),
    Buffer.from(jwk.x ?? '', 'base64url'),
    Buffer.from(jwk.y ?? '', 'base64url'),
  ]);
  const compressed = ECDH.convertKey(point, name, undefined, undefined, 'compressed');
  switch (form) {
    case 'multikey': {
      const bytes = Buffer.concat([Buffer.from(multicodec), Buffer.from(compressed as Buffer)]);
      return { type: 'Multikey', publicKeyMultibase: base58btc.encode(bytes) };
    }
    case 'legacy':
      return { type: legacy, publicKeyMultibase: base58btc.encode(point) };
    case 'jwk':
      return { type: 'JsonWebKey2020', publicKeyJwk: jwk };
  }
}
