import { p256 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { base58btc } from 'multiformats/bases/base58';
import { malformedTokens } from '../../../test/auth/malformed-tokens.ts';
import { looserTokens } from '../../../test/auth/looser-tokens.ts';
import type { TokenFixture } from '../../../test/auth/token-fixture.ts';
import { mirrorS } from '../../../test/auth/token-fixture.ts';
import { wrongTokens } from '../../../test/auth/wrong-tokens.ts';
import type { Account, AccountCurve, TokenClaims } from '../../../test/support/clients/account.ts';
import type { LoopbackPlc } from '../../../test/support/network/loopback-plc.ts';
import { accepted, hexOf, refusedWith } from './vector-file.ts';
import type { VectorFile, Verdict } from './vector-file.ts';

/** A service token, or a text that is none, and the response to a call with it. */
export interface TokenVector {
  readonly name: string;
  /** The parts of the token, to be joined with dots. They are separate so that no scanner takes them for a live token. */
  readonly segments: readonly string[];
  /** The first two segments, decoded; null where they are no base64url of UTF-8. */
  readonly header: string | null;
  readonly payload: string | null;
  readonly verdict: Verdict;
}

/** A person with a fixed key, as the directory has them. */
export interface TokenPerson {
  readonly did: string;
  readonly curve: AccountCurve;
  /** In hex; used for nothing else. */
  readonly privateKey: string;
  readonly publicKeyMultibase: string;
}

/** `tokens.json`. */
export interface TokenVectorFile extends VectorFile<TokenVector> {
  readonly service: string;
  readonly method: string;
  /** The time at which all vectors are sent, in seconds since the Unix epoch. */
  readonly nowSeconds: number;
  readonly people: readonly TokenPerson[];
}

const service = 'did:web:nightjar.test';
const method = 'blue.catbird.mls.getConvos';
const nowSeconds = 1_767_225_600;
const longestShown = 1_500;
const curves = {
  secp256k1: { curve: secp256k1, alg: 'ES256K', multicodec: [0xe7, 0x01] },
  p256: { curve: p256, alg: 'ES256', multicodec: [0x80, 0x24] },
} as const;

function personOf(name: string, curve: AccountCurve, keyByte: number): TokenPerson {
  const privateKey = Buffer.alloc(32, keyByte);
  const publicKey = curves[curve].curve.getPublicKey(privateKey, true);
  const publicKeyMultibase = base58btc.encode(Buffer.concat([Buffer.from(curves[curve].multicodec), publicKey]));
  return { did: `did:plc:tokens${name}`.padEnd(32, 'a'), curve, privateKey: hexOf(privateKey), publicKeyMultibase };
}

const people = [personOf('alice', 'secp256k1', 1), personOf('bob', 'p256', 2)] as const;

/** An account with a fixed key and numbered `jti`, whose signatures are deterministic (RFC 6979). */
function accountOf(person: TokenPerson, nextJti: () => string): Account {
  const { did, curve, privateKey, publicKeyMultibase } = person;
  const key = Buffer.from(privateKey, 'hex');
  const signToken: Account['signToken'] = (header, payload) => {
    const input = [header, payload].map((text) => Buffer.from(text).toString('base64url')).join('.');
    const signature = curves[curve].curve.sign(Buffer.from(input), key, { lowS: false });
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  };
  const unsupported = (): never => {
    throw new Error('a vector has a fixed key');
  };
  return {
    did,
    signToken,
    rotateKey: unsupported,
    privateKeyPem: unsupported,
    signingKey: () => key.toString('base64url'),
    document: () => ({
      id: did,
      verificationMethod: [{ id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase }],
    }),
    mintToken(claims: TokenClaims, { header = {} } = {}) {
      const times = { iat: nowSeconds, exp: nowSeconds + 60 };
      const payload = { iss: did, ...times, jti: nextJti(), ...claims };
      return signToken(JSON.stringify({ typ: 'JWT', alg: curves[curve].alg, ...header }), JSON.stringify(payload));
    },
  };
}

/** Cases that need a directory are left out; the corpus of `test/auth` has them. */
const noDirectory = new Proxy({} as LoopbackPlc, {
  get() {
    throw new NeedsDirectoryError('this case needs a directory');
  },
});

class NeedsDirectoryError extends Error {
  override readonly name = 'NeedsDirectoryError';
}

function fixtureOf(prefix: string): TokenFixture {
  let count = 0;
  const nextJti = (): string => `${prefix}-${String((count += 1)).padStart(8, '0')}`;
  const [alice, bob] = [accountOf(people[0], nextJti), accountOf(people[1], nextJti)];
  const mintOf: TokenFixture['mintOf'] = (account, claims = {}, header = {}) =>
    account.mintToken({ aud: service, lxm: method, ...claims }, { header });
  return {
    service,
    lxm: method,
    alice,
    bob,
    plc: noDirectory,
    nowSeconds: () => nowSeconds,
    mintOf,
    mint: (claims, header) => mintOf(alice, claims, header),
    raw: (payload, header = '{"typ":"JWT","alg":"ES256K"}') => alice.signToken(header, payload),
    payloadText(extra = '') {
      const claims = { iss: alice.did, aud: service, lxm: method, exp: nowSeconds + 60, jti: nextJti() };
      return `${JSON.stringify(claims).slice(0, -1)}${extra}}`;
    },
  };
}

interface Case {
  readonly name: string;
  readonly verdict: Verdict;
  readonly token: (fixture: TokenFixture) => string;
}

const valid: readonly Case[] = [
  { name: 'a token with ES256K', verdict: accepted, token: ({ mint }) => mint() },
  { name: 'a token with ES256', verdict: accepted, token: ({ mintOf, bob }) => mintOf(bob) },
  { name: 'a token without typ', verdict: accepted, token: ({ mint }) => mint({}, { typ: undefined }) },
  { name: 'a token without iat', verdict: accepted, token: ({ mint }) => mint({ iat: undefined }) },
  { name: 'aud with the service id', verdict: accepted, token: ({ mint }) => mint({ aud: `${service}#atproto_mls` }) },
  { name: 'S in the upper half', verdict: accepted, token: ({ mint }) => upperHalf(mint()) },
  ...looserTokens.map(({ name, token }) => ({ name, verdict: accepted, token })),
];

function upperHalf(token: string): string {
  const signature = Buffer.from(token.split('.')[2] ?? '', 'base64url');
  return (signature[32] ?? 0) < 0x80 ? mirrorS(token) : token;
}

/** Instead of cases with keys that the corpus makes anew in each process. */
const withFixedKeys: Readonly<Record<string, Case['token']>> = {
  RS256: ({ raw, payloadText }) => raw(payloadText(), '{"typ":"JWT","alg":"RS256"}'),
  EdDSA: ({ raw, payloadText }) => raw(payloadText(), '{"typ":"JWT","alg":"EdDSA"}'),
  'a jwk header': ({ mint }) => mint({}, { jwk: { kty: 'EC', crv: 'secp256k1' } }),
};

const invalid: readonly Case[] = [...malformedTokens, ...wrongTokens].flatMap(({ name, error, token, http }) =>
  http === undefined ? [{ name, verdict: refusedWith(error, 401), token: withFixedKeys[name] ?? token }] : [],
);

const used: Case = {
  name: 'the first token again',
  verdict: refusedWith('JwtReplayed', 401),
  token: () => fixtureOf('vector').mint(),
};

/** The same text each time, or undefined for a case with random bytes, a directory, or a text that HTTP cannot send. */
function fixedToken({ token }: Case, index: number): string | undefined {
  try {
    const prefix = index === 0 ? 'vector' : `vector-${index}`;
    const [text, again] = [token(fixtureOf(prefix)), token(fixtureOf(prefix))];
    const isSendable = /^[!-~]+$/.test(text) && text.length <= longestShown;
    // A whole token inside another text is left out, because scanners report it.
    const hasToken = decoded(text.split('.')[0])?.includes('eyJ') === true;
    return text === again && isSendable && !hasToken ? text : undefined;
  } catch (error) {
    if (error instanceof NeedsDirectoryError) return undefined;
    throw error;
  }
}

function decoded(segment: string | undefined): string | null {
  const bytes = Buffer.from(segment ?? '', 'base64url');
  const text = bytes.toString();
  return segment !== undefined && segment !== '' && bytes.equals(Buffer.from(text)) ? text : null;
}

/** `tokens.json`. */
export function tokenVectors(): TokenVectorFile {
  const vectors = [...valid, ...invalid, used].flatMap((each, index): TokenVector[] => {
    const text = fixedToken(each, index);
    if (text === undefined) return [];
    const segments = text.split('.');
    const [header, payload] = segments.map(decoded);
    return [{ name: each.name, segments, header: header ?? null, payload: payload ?? null, verdict: each.verdict }];
  });
  return {
    about:
      'Service tokens, all sent at the time nowSeconds in this order. docs/tokens.md has the rules; the keys are public, so they protect nothing.',
    service,
    method,
    nowSeconds,
    people,
    vectors,
  };
}
