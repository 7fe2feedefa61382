import { createHmac, createPublicKey, createSign, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { newSecret } from '#platform/ids.ts';
import { createAccount } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The accounts, the service and the time of the tokens in the corpus. */
export interface TokenFixture {
  readonly service: string;
  readonly lxm: string;
  /** Signs with secp256k1. */
  readonly alice: Account;
  /** Signs with P-256. */
  readonly bob: Account;
  readonly plc: LoopbackPlc;
  readonly nowSeconds: () => number;
  /** Mints a token of Alice that is valid except for these claims and headers; undefined omits one. */
  readonly mint: (claims?: Fields, header?: Fields) => string;
  readonly mintOf: (account: Account, claims?: Fields, header?: Fields) => string;
  /** Signs these texts unchanged with Alice's key. */
  readonly raw: (payload: string | Buffer, header?: string | Buffer) => string;
  /** The text of valid claims, with `extra` before the last brace. */
  readonly payloadText: (extra?: string) => string;
}

export interface TokenFixtureOptions {
  readonly plc: LoopbackPlc;
  readonly service: string;
  readonly lxm: string;
  readonly nowSeconds: () => number;
}

export function createTokenFixture({ plc, service, lxm, nowSeconds }: TokenFixtureOptions): TokenFixture {
  const alice = createAccount(plc);
  const mintOf: TokenFixture['mintOf'] = (account, claims = {}, header = {}) =>
    account.mintToken({ aud: service, lxm, ...claims }, { nowSeconds: nowSeconds(), header });
  return {
    service,
    lxm,
    alice,
    bob: createAccount(plc, { curve: 'p256' }),
    plc,
    nowSeconds,
    mintOf,
    mint: (claims, header) => mintOf(alice, claims, header),
    raw: (payload, header = '{"typ":"JWT","alg":"ES256K"}') => alice.signToken(header, payload),
    payloadText(extra = '') {
      const jti = newSecret(16).toString('hex');
      const claims = { iss: alice.did, aud: service, lxm, exp: nowSeconds() + 60, jti };
      return `${JSON.stringify(claims).slice(0, -1)}${extra}}`;
    },
  };
}

/** Changes one segment. */
export function replaceSegment(token: string, index: number, change: (text: string) => string): string {
  return token
    .split('.')
    .map((segment, at) => (at === index ? change(segment) : segment))
    .join('.');
}

/** Changes the bytes of the signature. */
export function replaceSignature(token: string, change: (signature: Buffer) => Buffer): string {
  return replaceSegment(token, 2, (text) => change(Buffer.from(text, 'base64url')).toString('base64url'));
}

const secp256k1Order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

export function bytes32(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
}

/** The orders of the curves, which R and S must be below. */
export const orders = {
  secp256k1: secp256k1Order,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
} as const;

/** Returns the other valid signature, with the mirrored S. */
export function mirrorS(token: string, order: bigint = secp256k1Order): string {
  return replaceSignature(token, (signature) => {
    const mirrored = order - BigInt(`0x${signature.subarray(32).toString('hex')}`);
    return Buffer.concat([signature.subarray(0, 32), bytes32(mirrored)]);
  });
}

export function derSignature(token: string): string {
  return replaceSignature(token, (signature) => {
    const integers = [signature.subarray(0, 32), signature.subarray(32)].map((part) => {
      const value = (part[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), part]) : part;
      return Buffer.concat([Buffer.from([2, value.length]), value]);
    });
    const body = Buffer.concat(integers);
    return Buffer.concat([Buffer.from([0x30, body.length]), body]);
  });
}

function signedBy(fixture: TokenFixture, alg: string, signature: (input: Buffer) => Buffer): string {
  const header = Buffer.from(JSON.stringify({ typ: 'JWT', alg })).toString('base64url');
  const input = `${header}.${Buffer.from(fixture.payloadText()).toString('base64url')}`;
  return `${input}.${signature(Buffer.from(input)).toString('base64url')}`;
}

/** Makes a token with an HMAC under a public value. */
export function hmacToken(fixture: TokenFixture, alg: 'HS256' | 'HS384' | 'HS512', secret: string | Buffer): string {
  return signedBy(fixture, alg, (input) =>
    createHmac(`sha${alg.slice(2)}`, secret)
      .update(input)
      .digest(),
  );
}

export function multibaseKey(account: Account): string {
  return String(account.document().verificationMethod?.[0]?.['publicKeyMultibase']);
}

let foreignKeys: { readonly rsa: KeyObject; readonly ed25519: KeyObject } | undefined;

/** Makes a token that is signed with a key type that service tokens do not support. */
export function foreignToken(fixture: TokenFixture, alg: 'RS256' | 'PS256' | 'EdDSA'): string {
  foreignKeys ??= {
    rsa: generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
    ed25519: generateKeyPairSync('ed25519').privateKey,
  };
  const { rsa, ed25519 } = foreignKeys;
  if (alg === 'EdDSA') return signedBy(fixture, alg, (input) => sign(null, input, ed25519));
  // RSA_PKCS1_PSS_PADDING
  const key = alg === 'PS256' ? { key: rsa, padding: 6 } : { key: rsa };
  return signedBy(fixture, alg, (input) => createSign('sha256').update(input).sign(key));
}

/** Makes a key pair for a header that contains its own key. */
export function ownJwk(): { readonly jwk: object; readonly privateKey: KeyObject } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  return { jwk: createPublicKey(privateKey).export({ format: 'jwk' }), privateKey };
}
