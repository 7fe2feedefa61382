import type { AuthErrorCode } from '#auth/auth-error.ts';
import { createAccount, randomPlcDid } from '../support/clients/account.ts';
import { bytes32, derSignature, orders, replaceSegment, replaceSignature } from './token-fixture.ts';
import type { TokenFixture } from './token-fixture.ts';
import { refused } from './token-case.ts';
import type { CaseOptions, TokenCase } from './token-case.ts';

type Claims = (fixture: TokenFixture, nowSeconds: number) => Readonly<Record<string, unknown>>;

function withClaims(error: AuthErrorCode, name: string, claims: Claims, more: CaseOptions = {}): TokenCase {
  return refused(error, name, (fixture) => fixture.mint(claims(fixture, fixture.nowSeconds())), more);
}

const bothLifetime = { stricterThan: { atproto: 'lifetime', atcute: 'lifetime' } } as const;
const atprotoLifetime = { stricterThan: { atproto: 'lifetime' } } as const;
const atprotoNumbers = { stricterThan: { atproto: 'numbers' } } as const;
const bothFuture = { stricterThan: { atproto: 'future', atcute: 'future' } } as const;
const atprotoFuture = { stricterThan: { atproto: 'future' } } as const;

const times: readonly TokenCase[] = [
  withClaims('BadJwt', 'no exp', () => ({ exp: undefined })),
  withClaims('BadJwt', 'exp as text', (_fixture, now) => ({ exp: String(now + 60) })),
  withClaims('BadJwt', 'exp as a list', (_fixture, now) => ({ exp: [now + 60] })),
  withClaims('BadJwt', 'exp true', () => ({ exp: true })),
  withClaims('BadJwt', 'exp with a fraction', (_fixture, now) => ({ exp: now + 60.5 }), atprotoNumbers),
  refused('BadJwt', 'exp infinite', ({ raw, payloadText }) => raw(payloadText().replace(/"exp":\d+/, '"exp":1e999')), {
    ...atprotoNumbers,
  }),
  withClaims('BadJwt', 'exp negative', () => ({ exp: -1 })),
  withClaims('BadJwt', 'exp null', () => ({ exp: null })),
  withClaims('JwtExpired', 'exp zero', () => ({ exp: 0 })),
  withClaims('JwtExpired', 'exp a second ago', (_fixture, now) => ({ iat: undefined, exp: now - 1 }), {
    stricterThan: { atcute: 'expired' },
  }),
  withClaims('JwtExpired', 'exp long ago', () => ({ iat: 0, exp: 60 })),
  withClaims(
    'BadJwtLifetime',
    'exp in milliseconds',
    (_fixture, now) => ({ exp: now * 1_000 + 60_000 }),
    atprotoLifetime,
  ),
  withClaims(
    'BadJwtLifetime',
    'exp in six minutes',
    (_fixture, now) => ({ iat: undefined, exp: now + 360 }),
    atprotoLifetime,
  ),
  withClaims('BadJwtLifetime', 'exp in ten years', (_fixture, now) => ({ exp: now + 315_360_000 }), atprotoLifetime),
  withClaims(
    'BadJwtLifetime',
    'a lifetime of 301 seconds',
    (_fixture, now) => ({ iat: now - 241, exp: now + 60 }),
    bothLifetime,
  ),
  withClaims(
    'BadJwtLifetime',
    'exp before iat',
    (_fixture, now) => ({ iat: now + 20, exp: now + 10 }),
    atprotoLifetime,
  ),
  withClaims('BadJwtLifetime', 'exp at iat', (_fixture, now) => ({ iat: now + 20, exp: now + 20 }), atprotoLifetime),
  withClaims('BadJwtLifetime', 'iat in 40 seconds', (_fixture, now) => ({ iat: now + 40, exp: now + 60 }), bothFuture),
  withClaims(
    'BadJwtLifetime',
    'iat in an hour',
    (_fixture, now) => ({ iat: now + 3_600, exp: now + 3_660 }),
    atprotoFuture,
  ),
  withClaims('BadJwt', 'iat as text', () => ({ iat: 'now' }), atprotoNumbers),
  withClaims('BadJwt', 'iat with a fraction', (_fixture, now) => ({ iat: now + 0.5 }), atprotoNumbers),
  withClaims('BadJwt', 'iat negative', () => ({ iat: -1 }), atprotoNumbers),
  withClaims('BadJwt', 'iat null', () => ({ iat: null }), atprotoNumbers),
  withClaims('BadJwtLifetime', 'nbf in 40 seconds', (_fixture, now) => ({ nbf: now + 40 }), atprotoFuture),
  withClaims('BadJwt', 'nbf as null', () => ({ nbf: null }), atprotoNumbers),
  withClaims('BadJwt', 'nbf as text', () => ({ nbf: '0' }), atprotoNumbers),
];

const audiences: readonly TokenCase[] = [
  withClaims('BadJwtAudience', 'no aud', () => ({ aud: undefined })),
  withClaims('BadJwtAudience', 'aud as a list', ({ service }) => ({ aud: [service] })),
  withClaims('BadJwtAudience', 'aud as a list with another', ({ service }) => ({
    aud: [service, 'did:web:other.dev'],
  })),
  withClaims('BadJwtAudience', 'aud null', () => ({ aud: null })),
  withClaims('BadJwtAudience', 'aud empty', () => ({ aud: '' })),
  withClaims('BadJwtAudience', 'aud a number', () => ({ aud: 1 })),
  withClaims('BadJwtAudience', 'a prefix of aud', ({ service }) => ({ aud: service.slice(0, -1) })),
  withClaims('BadJwtAudience', 'aud with more behind', ({ service }) => ({ aud: `${service}.a.dev` })),
  withClaims('BadJwtAudience', 'aud with a space', ({ service }) => ({ aud: `${service} ` })),
  withClaims('BadJwtAudience', 'aud with a slash', ({ service }) => ({ aud: `${service}/` })),
  withClaims('BadJwtAudience', 'aud in another case', ({ service }) => ({ aud: service.toUpperCase() })),
  withClaims('BadJwtAudience', 'aud as a URL', ({ service }) => ({ aud: service.replace('did:web:', 'https://') })),
  withClaims('BadJwtAudience', 'aud of another service', () => ({ aud: 'did:web:other.dev' })),
  withClaims('BadJwtAudience', 'aud of the caller', ({ alice }) => ({ aud: alice.did })),
  withClaims('BadJwtAudience', 'another fragment', ({ service }) => ({ aud: `${service}#bsky_appview` })),
  withClaims('BadJwtAudience', 'an empty fragment', ({ service }) => ({ aud: `${service}#` })),
  withClaims('BadJwtAudience', 'a fragment in another case', ({ service }) => ({ aud: `${service}#Atproto_mls` })),
];

const methods: readonly TokenCase[] = [
  withClaims('BadJwtLexiconMethod', 'no lxm', () => ({ lxm: undefined })),
  withClaims('BadJwtLexiconMethod', 'lxm null', () => ({ lxm: null })),
  withClaims('BadJwtLexiconMethod', 'lxm empty', () => ({ lxm: '' })),
  withClaims('BadJwtLexiconMethod', 'another method', () => ({ lxm: 'blue.catbird.mls.getEpoch' })),
  withClaims('BadJwtLexiconMethod', 'lxm in another case', ({ lxm }) => ({ lxm: lxm.toLowerCase() })),
  withClaims('BadJwtLexiconMethod', 'a prefix of lxm', ({ lxm }) => ({ lxm: lxm.slice(0, -1) })),
  withClaims('BadJwtLexiconMethod', 'lxm with more behind', ({ lxm }) => ({ lxm: `${lxm}.more` })),
  withClaims('BadJwtLexiconMethod', 'lxm as a list', ({ lxm }) => ({ lxm: [lxm] })),
  withClaims('BadJwtLexiconMethod', 'lxm as a wildcard', () => ({ lxm: '*' })),
  withClaims('BadJwtLexiconMethod', 'lxm of the namespace', () => ({ lxm: 'blue.catbird.mls.*' })),
  withClaims('BadJwtLexiconMethod', 'lxm with a fragment', ({ lxm }) => ({ lxm: `${lxm}#main` })),
];

const issuers: readonly TokenCase[] = [
  withClaims('BadJwt', 'no iss', () => ({ iss: undefined })),
  withClaims('BadJwt', 'iss as a list', ({ alice }) => ({ iss: [alice.did] })),
  withClaims('BadJwt', 'iss null', () => ({ iss: null })),
  withClaims('BadJwtIssuer', 'iss empty', () => ({ iss: '' })),
  withClaims('BadJwtIssuer', 'iss with the fragment of its key', ({ alice }) => ({ iss: `${alice.did}#atproto` }), {
    stricterThan: { atproto: 'issuer' },
  }),
  withClaims('BadJwtIssuer', 'iss with another fragment', ({ alice }) => ({ iss: `${alice.did}#other` })),
  withClaims('BadJwtIssuer', 'iss in upper case', ({ alice }) => ({ iss: alice.did.toUpperCase() })),
  withClaims('BadJwtIssuer', 'iss with a space behind', ({ alice }) => ({ iss: `${alice.did} ` })),
  withClaims('BadJwtIssuer', 'iss with a NUL behind', ({ alice }) => ({ iss: `${alice.did}\0` })),
  withClaims('BadJwtIssuer', 'iss with a line feed behind', ({ alice }) => ({ iss: `${alice.did}\n` })),
  ...[
    ['a did:key', 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme'],
    ['an unknown method', 'did:ion:EiAnKD8-jfdd0MDcZUjAbRgaThBrMxPTFOxcnfJhI7Ukaw'],
    ['a handle', 'alice.nightjar.dev'],
    ['a URL', 'https://a.nightjar.dev'],
    ['a did:web with a path', 'did:web:a.nightjar.dev:user'],
    ['a did:web with a port', 'did:web:a.nightjar.dev%3A8443'],
    ['a did:web with userinfo', 'did:web:a%40a.nightjar.dev'],
    ['a did:web with an escape', 'did:web:a.nightjar.dev%2Fpath'],
    ['a did:web in upper case', 'did:web:A.nightjar.dev'],
    ['an address', 'did:web:127.0.0.1'],
    ['an address in another spelling', 'did:web:2130706433'],
    ['a name inside', 'did:web:metadata.google.internal'],
    ['a did:plc that is too short', 'did:plc:aaaa'],
    ['a did:plc with digits it cannot have', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaa1'],
    ['a lone surrogate', 'did:web:\ud800.nightjar.dev'],
  ].map(([what, iss]) => withClaims('BadJwtIssuer', `iss as ${what}`, () => ({ iss }))),
  withClaims('BadJwtIssuer', 'iss that the directory does not have', () => ({ iss: randomPlcDid() })),
  withClaims('BadJwtIssuer', 'iss of a deleted account', ({ plc }) => {
    const { did } = createAccount(plc);
    plc.misbehave(did, 'tombstone');
    return { iss: did };
  }),
  withClaims('BadJwtIssuer', 'iss whose document has no key', ({ plc }) => {
    const did = randomPlcDid();
    plc.register({ id: did, verificationMethod: [] });
    return { iss: did };
  }),
  withClaims('BadJwtIssuer', 'iss whose document has another id', ({ plc }) => {
    const { did } = createAccount(plc);
    plc.misbehave(did, 'wrong-id');
    return { iss: did };
  }),
  withClaims('BadJwtSignature', 'iss of another account', ({ plc }) => ({ iss: createAccount(plc).did })),
];

const jtis: readonly TokenCase[] = [
  withClaims('BadJwt', 'no jti', () => ({ jti: undefined }), { stricterThan: { atproto: 'jti' } }),
  withClaims('BadJwt', 'an empty jti', () => ({ jti: '' }), { stricterThan: { atproto: 'jti', atcute: 'jti' } }),
  withClaims('BadJwt', 'a jti of 7 characters', () => ({ jti: 'a'.repeat(7) }), {
    stricterThan: { atproto: 'jti', atcute: 'jti' },
  }),
  withClaims('BadJwt', 'a jti of 129 characters', () => ({ jti: 'a'.repeat(129) }), {
    stricterThan: { atproto: 'jti', atcute: 'jti' },
  }),
  withClaims('BadJwt', 'jti as a number', () => ({ jti: 12_345_678 }), { stricterThan: { atproto: 'jti' } }),
  withClaims('BadJwt', 'jti null', () => ({ jti: null }), { stricterThan: { atproto: 'jti' } }),
  withClaims('BadJwt', 'jti as a list', () => ({ jti: ['aaaaaaaa'] }), { stricterThan: { atproto: 'jti' } }),
  withClaims('BadJwt', 'a jti of a megabyte', () => ({ jti: 'a'.repeat(1_048_576) }), {
    http: { status: 431, error: 'HeadersTooLarge' },
    stricterThan: { atproto: 'size', atcute: 'size' },
  }),
];

const signed = (name: string, change: (signature: Buffer) => Buffer, more?: CaseOptions): TokenCase =>
  refused('BadJwtSignature', name, ({ mint }) => replaceSignature(mint(), change), more);
const order = bytes32(orders.secp256k1);
const zero = Buffer.alloc(32);

const signatures: readonly TokenCase[] = [
  refused('BadJwtSignature', 'ES256 for a secp256k1 key', ({ mint }) => mint({}, { alg: 'ES256' })),
  refused('BadJwtSignature', 'ES256K for a P-256 key', ({ mintOf, bob }) => mintOf(bob, {}, { alg: 'ES256K' })),
  refused('BadJwtSignature', 'a P-256 signature in the name of a secp256k1 key', ({ mintOf, alice, bob }) =>
    mintOf(bob, { iss: alice.did }),
  ),
  refused('BadJwtSignature', 'a DER signature', ({ mint }) => derSignature(mint()), {
    stricterThan: { atproto: 'canonical' },
  }),
  signed('a signature of 63 bytes', (signature) => signature.subarray(0, 63)),
  signed('a signature of 65 bytes', (signature) => Buffer.concat([signature, Buffer.from([27])])),
  signed('a signature of 128 bytes', (signature) => Buffer.concat([signature, signature])),
  signed('a signature of one byte', () => Buffer.from([1])),
  signed('a signature of zeros', () => Buffer.alloc(64)),
  signed('a signature of ones', () => Buffer.alloc(64, 0xff)),
  signed('R zero', (signature) => Buffer.concat([zero, signature.subarray(32)])),
  signed('S zero', (signature) => Buffer.concat([signature.subarray(0, 32), zero])),
  signed('R the order of the curve', (signature) => Buffer.concat([order, signature.subarray(32)])),
  signed('S the order of the curve', (signature) => Buffer.concat([signature.subarray(0, 32), order])),
  signed('R above the order', (signature) => Buffer.concat([bytes32(orders.secp256k1 + 1n), signature.subarray(32)])),
  signed('S above the order', (signature) =>
    Buffer.concat([signature.subarray(0, 32), bytes32(orders.secp256k1 + 1n)]),
  ),
  signed('R and S exchanged', (signature) => Buffer.concat([signature.subarray(32), signature.subarray(0, 32)])),
  signed('a bit turned over', (signature) => Buffer.from(signature.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))),
  refused('BadJwtSignature', 'a changed payload', ({ mint }) =>
    replaceSegment(mint(), 1, () => mint().split('.')[1] ?? ''),
  ),
  refused('BadJwtSignature', 'a changed header', ({ mint }) =>
    replaceSegment(mint(), 0, () => mint({}, { typ: 'jwt' }).split('.')[0] ?? ''),
  ),
  refused('BadJwtSignature', 'the signature of another token', ({ mint }) =>
    replaceSegment(mint(), 2, () => mint().split('.')[2] ?? ''),
  ),
];

/** Well-formed tokens with wrong claims or signatures. */
export const wrongTokens: readonly TokenCase[] = [
  ...times,
  ...audiences,
  ...methods,
  ...issuers,
  ...jtis,
  ...signatures,
];
