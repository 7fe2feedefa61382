import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthenticator } from '#auth/authenticate.ts';
import type { Authenticate, AuthenticatorDeps } from '#auth/authenticate.ts';
import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { createReplayDigest } from '#auth/replay-digest.ts';
import { refusedAccount } from '#auth/refuse-tokens.ts';
import { createReplayGuard } from '#auth/replay-guard.ts';
import { createDidDocuments } from '#identity/did-documents.ts';
import { createFetchDidDocument } from '#identity/fetch-did-document.ts';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createAccount, randomPlcDid } from '../support/account.ts';
import type { Account } from '../support/account.ts';
import { createTestDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/loopback-plc.ts';
import type { LoopbackPlc } from '../support/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const service = 'did:web:mls.nightjar.dev';
const lxm = 'blue.catbird.mls.sendMessage';
const good = { aud: service, lxm };

let database: TestDatabase;
let plc: LoopbackPlc;
let clock: ManualClock;
let authenticate: Authenticate;
let alice: Account;

beforeAll(async () => {
  [database, plc] = await Promise.all([createTestDatabase({ poolSize: 2 }), startLoopbackPlc()]);
  await database.sql`update replay_birth set born_at = now() - interval '1 hour'`;
  clock = createManualClock(Date.now());
  authenticate = openAuthenticator();
  alice = createAccount(plc);
});
afterAll(() => Promise.all([database.close(), plc.close()]));

function openAuthenticator(options: Partial<AuthenticatorDeps> = {}): Authenticate {
  const network = 'private';
  const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: plc.url, timeoutMs: 500 });
  const privacy = createPrivacy(parseKeyRing(`1:${newSecret(32).toString('base64')}`));
  const digest = createReplayDigest(privacy);
  const account = (did: string): Buffer => refusedAccount(privacy, did);
  return createAuthenticator({
    documents: createDidDocuments({ fetchDidDocument, clock, network, entriesMax: 100 }),
    replayGuard: createReplayGuard({ sql: database.sql, clock, digest, account, ttlSeconds: 300 }),
    clock,
    audiences: [service, `${service}#atproto_mls`],
    enforceLxm: true,
    enforceJti: true,
    ...options,
  });
}

const nowSeconds = (): number => Math.floor(clock.nowMs() / 1_000);

function mint(claims: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): string {
  return alice.mintToken({ ...good, ...claims }, { nowSeconds: nowSeconds(), header });
}

/** The caller's DID, or the code of the refusal. */
async function outcome(authorization: string | undefined, by: Authenticate = authenticate): Promise<unknown> {
  return by(authorization, lxm).then(({ did }) => did, errorCode);
}

describe('a service token proves its issuer', () => {
  test.for(
    (['secp256k1', 'p256'] as const).flatMap((curve) =>
      (['multikey', 'legacy', 'jwk'] as const).map((keyForm) => ({ curve, keyForm })),
    ),
  )('signed with $curve, key written as $keyForm', async ({ curve, keyForm }) => {
    const account = createAccount(plc, { curve, keyForm });
    expect(await outcome(`Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`)).toBe(account.did);
  });

  test.for<[string, () => string]>([
    ['with every configured audience', () => mint({ aud: `${service}#atproto_mls` })],
    ['with kid as a fragment', () => mint({}, { kid: '#atproto' })],
    ['with kid as a full id', () => mint({}, { kid: `${alice.did}#atproto` })],
    ['without typ', () => mint({}, { typ: undefined })],
    ['with typ in lower case', () => mint({}, { typ: 'jwt' })],
    ['without iat', () => mint({ iat: undefined })],
    ['that lives for the longest time allowed', () => mint({ exp: nowSeconds() + 300 })],
    [
      'of an issuer whose clock is 30 s ahead',
      () => mint({ iat: nowSeconds() + 30, nbf: nowSeconds() + 30, exp: nowSeconds() + 330 }),
    ],
    ['with a sub, which is ignored', () => mint({ sub: randomPlcDid() })],
    ['with claims we do not know', () => mint({ scope: ['a', { b: 1 }] })],
    ['with a jti of 8 characters', () => mint({ jti: newSecret(4).toString('hex') })],
    ['with a jti of 128 characters', () => mint({ jti: newSecret(64).toString('hex') })],
    ['with S mirrored to the high half', () => mirrorS(mint())],
  ])('%s', async ([, token]) => {
    expect(await outcome(`Bearer ${token()}`)).toBe(alice.did);
  });

  test('the scheme is not case-sensitive', async () => {
    expect(await outcome(`bearer ${mint()}`)).toBe(alice.did);
  });
});

const secp256k1Order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

function mirrorS(token: string): string {
  const [header, payload, text = ''] = token.split('.');
  const signature = Buffer.from(text, 'base64url');
  const mirrored = secp256k1Order - BigInt(`0x${signature.subarray(32).toString('hex')}`);
  signature.set(Buffer.from(mirrored.toString(16).padStart(64, '0'), 'hex'), 32);
  return `${header}.${payload}.${signature.toString('base64url')}`;
}

function replaceSegment(token: string, index: number, change: (text: string) => string): string {
  return token
    .split('.')
    .map((segment, at) => (at === index ? change(segment) : segment))
    .join('.');
}

/** Signs these texts as they stand. */
function raw(payload: string | Buffer, header: string | Buffer = '{"typ":"JWT","alg":"ES256K"}'): string {
  return alice.signToken(header, payload);
}

function payloadText(extra: string): string {
  const claims = { iss: alice.did, ...good, exp: nowSeconds() + 60, jti: newSecret(16).toString('hex') };
  return `${JSON.stringify(claims).slice(0, -1)}${extra}}`;
}

function hs256(secret: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ typ: 'JWT', alg: 'HS256' })}.${Buffer.from(payloadText('')).toString('base64url')}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

function derSignature(token: string): string {
  return replaceSegment(token, 2, (text) => {
    const signature = Buffer.from(text, 'base64url');
    const integers = [signature.subarray(0, 32), signature.subarray(32)].map((part) => {
      const value = (part[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), part]) : part;
      return Buffer.concat([Buffer.from([2, value.length]), value]);
    });
    const body = Buffer.concat(integers);
    return Buffer.concat([Buffer.from([0x30, body.length]), body]).toString('base64url');
  });
}

const badTokens: readonly (readonly [string, AuthErrorCode, () => string])[] = [
  ['alg none', 'BadJwtType', () => mint({}, { alg: 'none' })],
  ['alg None', 'BadJwtType', () => mint({}, { alg: 'None' })],
  ['alg none without signature', 'BadJwt', () => replaceSegment(mint({}, { alg: 'none' }), 2, () => '')],
  ['alg empty', 'BadJwtType', () => mint({}, { alg: '' })],
  ['alg missing', 'BadJwtType', () => mint({}, { alg: undefined })],
  ['alg as a list', 'BadJwtType', () => mint({}, { alg: ['ES256K'] })],
  ['alg in lower case', 'BadJwtType', () => mint({}, { alg: 'es256k' })],
  [
    'HS256 with the public key as secret',
    'BadJwtType',
    () => hs256(String(alice.document().verificationMethod?.[0]?.['publicKeyMultibase'])),
  ],
  ['HS256 with an empty secret', 'BadJwtType', () => hs256('')],
  ['RS256', 'BadJwtType', () => mint({}, { alg: 'RS256' })],
  ['EdDSA', 'BadJwtType', () => mint({}, { alg: 'EdDSA' })],
  ['ES256 for a secp256k1 key', 'BadJwtSignature', () => mint({}, { alg: 'ES256' })],
  ['typ at+jwt', 'BadJwtType', () => mint({}, { typ: 'at+jwt' })],
  ['typ dpop+jwt', 'BadJwtType', () => mint({}, { typ: 'dpop+jwt' })],
  ['typ as a number', 'BadJwtType', () => mint({}, { typ: 1 })],
  ['a jwk header', 'BadJwt', () => mint({}, { jwk: { kty: 'EC' } })],
  ['a jku header', 'BadJwt', () => mint({}, { jku: 'https://a.nightjar.dev' })],
  ['an x5u header', 'BadJwt', () => mint({}, { x5u: 'https://a.nightjar.dev' })],
  ['an x5c header', 'BadJwt', () => mint({}, { x5c: [] })],
  ['a crit header', 'BadJwt', () => mint({}, { crit: ['exp'] })],
  ['an empty crit header', 'BadJwt', () => mint({}, { crit: [] })],
  ['b64 false', 'BadJwt', () => mint({}, { b64: false })],
  ['kid as a list', 'BadJwt', () => mint({}, { kid: ['#atproto'] })],
  ['kid empty', 'BadJwt', () => mint({}, { kid: '' })],
  ['kid very long', 'BadJwt', () => mint({}, { kid: 'k'.repeat(513) })],
  ['kid as a path', 'BadJwtIssuer', () => mint({}, { kid: '../../etc/passwd' })],
  ['kid as SQL', 'BadJwtIssuer', () => mint({}, { kid: "' or 1=1 --" })],
  ['kid as a URL', 'BadJwtIssuer', () => mint({}, { kid: 'https://a.nightjar.dev/#atproto' })],
  ['kid of another key', 'BadJwtIssuer', () => mint({}, { kid: '#__proto__' })],
  ['one segment', 'BadJwt', () => 'token'],
  ['two segments', 'BadJwt', () => mint().split('.').slice(0, 2).join('.')],
  ['four segments', 'BadJwt', () => `${mint()}.AAAA`],
  ['five segments, as a JWE has', 'BadJwt', () => `${mint()}.AAAA.AAAA`],
  ['a dot at the end', 'BadJwt', () => `${mint()}.`],
  ['an empty header', 'BadJwt', () => replaceSegment(mint(), 0, () => '')],
  ['an empty payload', 'BadJwt', () => replaceSegment(mint(), 1, () => '')],
  ['an empty signature', 'BadJwt', () => replaceSegment(mint(), 2, () => '')],
  ['padding', 'BadJwt', () => replaceSegment(mint(), 2, (text) => `${text}==`)],
  ['base64 with + and /', 'BadJwt', () => replaceSegment(mint(), 2, (text) => `+/${text.slice(2)}`)],
  [
    'trailing bits in the signature',
    'BadJwt',
    () => replaceSegment(mint(), 2, (text) => `${text.slice(0, -1)}${text.endsWith('B') ? 'C' : 'B'}`),
  ],
  ['a length no base64 has', 'BadJwt', () => replaceSegment(mint(), 2, (text) => `${text}AAA`)],
  ['a letter outside the alphabet', 'BadJwt', () => replaceSegment(mint(), 2, (text) => `é${text.slice(1)}`)],
  ['a NUL', 'BadJwt', () => `${mint()}\0`],
  ['more than 4,096 characters', 'BadJwt', () => mint({ filler: 'f'.repeat(4_096) })],
  ['a duplicate claim', 'BadJwt', () => raw(payloadText(`,"iss":"${randomPlcDid()}"`))],
  ['a duplicate claim in escapes', 'BadJwt', () => raw(payloadText(',"\\u0069ss":"did:plc:x"'))],
  ['a duplicate header', 'BadJwt', () => raw(payloadText(''), '{"alg":"ES256K","alg":"ES256"}')],
  ['__proto__ in the payload', 'BadJwt', () => raw(payloadText(',"__proto__":{"lxm":"a"}'))],
  ['a payload that is a list', 'BadJwt', () => raw('[]')],
  ['a payload that is null', 'BadJwt', () => raw('null')],
  ['a payload that is no JSON', 'BadJwt', () => raw('{"iss":')],
  [
    'invalid UTF-8',
    'BadJwt',
    () => raw(Buffer.concat([Buffer.from(payloadText('').slice(0, -1)), Buffer.from(',"a":"\xff"}', 'latin1')])),
  ],
  ['a byte order mark', 'BadJwt', () => raw(`\ufeff${payloadText('')}`)],
  ['no exp', 'BadJwt', () => mint({ exp: undefined })],
  ['exp as text', 'BadJwt', () => mint({ exp: String(nowSeconds() + 60) })],
  ['exp with a fraction', 'BadJwt', () => mint({ exp: nowSeconds() + 60.5 })],
  [
    'exp infinite',
    'BadJwt',
    () => raw(JSON.stringify({ iss: alice.did, ...good, jti: 'aaaaaaaa' }).replace('}', ',"exp":1e999}')),
  ],
  ['exp negative', 'BadJwt', () => mint({ exp: -1 })],
  ['exp null', 'BadJwt', () => mint({ exp: null })],
  ['exp now', 'JwtExpired', () => mint({ exp: nowSeconds() })],
  ['exp long ago', 'JwtExpired', () => mint({ iat: 0, exp: 60 })],
  ['exp in milliseconds', 'BadJwtLifetime', () => mint({ exp: clock.nowMs() + 60_000 })],
  ['exp in 331 seconds', 'BadJwtLifetime', () => mint({ iat: undefined, exp: nowSeconds() + 331 })],
  ['exp in ten years', 'BadJwtLifetime', () => mint({ exp: nowSeconds() + 315_360_000 })],
  ['a lifetime of 301 seconds', 'BadJwtLifetime', () => mint({ iat: nowSeconds() - 241, exp: nowSeconds() + 60 })],
  ['iat in 31 seconds', 'BadJwtLifetime', () => mint({ iat: nowSeconds() + 31, exp: nowSeconds() + 60 })],
  ['iat as text', 'BadJwt', () => mint({ iat: 'now' })],
  ['nbf in 31 seconds', 'BadJwtLifetime', () => mint({ nbf: nowSeconds() + 31 })],
  ['nbf as null', 'BadJwt', () => mint({ nbf: null })],
  ['no aud', 'BadJwtAudience', () => mint({ aud: undefined })],
  ['aud as a list', 'BadJwtAudience', () => mint({ aud: [service] })],
  ['a prefix of aud', 'BadJwtAudience', () => mint({ aud: service.slice(0, -1) })],
  ['aud with more behind', 'BadJwtAudience', () => mint({ aud: `${service}.a.dev` })],
  ['aud in another case', 'BadJwtAudience', () => mint({ aud: service.toUpperCase() })],
  ['another service of ours', 'BadJwtAudience', () => mint({ aud: `${service}#bsky_appview` })],
  ['an empty fragment', 'BadJwtAudience', () => mint({ aud: `${service}#` })],
  ['no lxm', 'BadJwtLexiconMethod', () => mint({ lxm: undefined })],
  ['another method', 'BadJwtLexiconMethod', () => mint({ lxm: 'blue.catbird.mls.getConvos' })],
  ['lxm in another case', 'BadJwtLexiconMethod', () => mint({ lxm: lxm.toLowerCase() })],
  ['a prefix of lxm', 'BadJwtLexiconMethod', () => mint({ lxm: lxm.slice(0, -1) })],
  ['lxm as a list', 'BadJwtLexiconMethod', () => mint({ lxm: [lxm] })],
  ['lxm as a wildcard', 'BadJwtLexiconMethod', () => mint({ lxm: '*' })],
  ['no iss', 'BadJwt', () => mint({ iss: undefined })],
  ['iss as a list', 'BadJwt', () => mint({ iss: [alice.did] })],
  ['iss with a fragment', 'BadJwtIssuer', () => mint({ iss: `${alice.did}#atproto` })],
  ['iss in upper case', 'BadJwtIssuer', () => mint({ iss: alice.did.toUpperCase() })],
  ['iss a did:key', 'BadJwtIssuer', () => mint({ iss: 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme' })],
  ['iss a did:web with a path', 'BadJwtIssuer', () => mint({ iss: 'did:web:a.nightjar.dev:user' })],
  ['iss a did:web with userinfo', 'BadJwtIssuer', () => mint({ iss: 'did:web:a%40a.nightjar.dev' })],
  ['iss of an address', 'BadJwtIssuer', () => mint({ iss: 'did:web:127.0.0.1' })],
  ['iss that no directory knows', 'BadJwtIssuer', () => mint({ iss: randomPlcDid() })],
  ['iss of somebody else', 'BadJwtSignature', () => mint({ iss: createAccount(plc).did })],
  ['no jti', 'BadJwt', () => mint({ jti: undefined })],
  ['an empty jti', 'BadJwt', () => mint({ jti: '' })],
  ['a jti of 7 characters', 'BadJwt', () => mint({ jti: 'a'.repeat(7) })],
  ['a jti of 129 characters', 'BadJwt', () => mint({ jti: 'a'.repeat(129) })],
  ['jti as a number', 'BadJwt', () => mint({ jti: 12_345_678 })],
  ['a DER signature', 'BadJwtSignature', () => derSignature(mint())],
  [
    'a signature of 63 bytes',
    'BadJwtSignature',
    () => replaceSegment(mint(), 2, (text) => Buffer.from(text, 'base64url').subarray(0, 63).toString('base64url')),
  ],
  [
    'a signature of zeros',
    'BadJwtSignature',
    () => replaceSegment(mint(), 2, () => Buffer.alloc(64).toString('base64url')),
  ],
  ['a changed payload', 'BadJwtSignature', () => replaceSegment(mint(), 1, () => mint().split('.')[1] ?? '')],
  [
    'a changed header',
    'BadJwtSignature',
    () => replaceSegment(mint(), 0, () => mint({}, { typ: 'jwt' }).split('.')[0] ?? ''),
  ],
];

describe('a bad token is refused with the right name', () => {
  test('the corpus is large', () => expect(badTokens.length).toBeGreaterThanOrEqual(100));

  test.for(badTokens)('%s: %s', async ([, code, token]) => {
    expect(await outcome(`Bearer ${token()}`)).toBe(code);
  });

  test('and none of them was entered in the record of used tokens', async () => {
    await database.sql`truncate replay_entries`;
    for (const [, , token] of badTokens) await outcome(`Bearer ${token()}`);
    expect(await database.sql`select 1 from replay_entries`).toHaveLength(0);
    expect(await outcome(`Bearer ${mint()}`)).toBe(alice.did);
    expect(await database.sql`select 1 from replay_entries`).toHaveLength(1);
  });

  test.for<[string, AuthErrorCode, () => string | undefined]>([
    ['no header', 'AuthMissing', () => undefined],
    ['an empty header', 'AuthMissing', () => ''],
    ['another scheme', 'AuthMissing', () => 'Basic YTpi'],
    ['DPoP', 'AuthMissing', () => `DPoP ${mint()}`],
    ['no scheme', 'AuthMissing', () => mint()],
    ['a scheme without a token', 'BadJwt', () => 'Bearer '],
    ['two tokens', 'BadJwt', () => `Bearer ${mint()} ${mint()}`],
    ['two headers, joined', 'BadJwt', () => `Bearer ${mint()}, Bearer ${mint()}`],
    ['a space inside', 'BadJwt', () => `Bearer ${mint().replace('.', '. ')}`],
    ['a line feed behind', 'BadJwt', () => `Bearer ${mint()}\n`],
  ])('%s: %s', async ([, code, header]) => {
    expect(await outcome(header())).toBe(code);
  });

  test('the text is fixed and names nobody', async () => {
    const error: unknown = await authenticate(`Bearer ${mint({ aud: 'did:web:secret.dev' })}`, lxm).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'AppError', message: authErrors.BadJwtAudience, detail: {} });
  });
});

describe('a token is good once', () => {
  test('of 100 uses at once one is accepted', async () => {
    const header = `Bearer ${mint()}`;
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => outcome(header)));
    expect(outcomes.filter((result) => result === alice.did)).toHaveLength(1);
    expect(outcomes.filter((result) => result === 'JwtReplayed')).toHaveLength(99);
  });

  test('also when its signature is mirrored, or it is signed again', async () => {
    const claims = { jti: newSecret(16).toString('hex') };
    const token = mint(claims);
    expect(await outcome(`Bearer ${token}`)).toBe(alice.did);
    expect(await outcome(`Bearer ${mirrorS(token)}`)).toBe('JwtReplayed');
    expect(await outcome(`Bearer ${mint(claims)}`)).toBe('JwtReplayed');
  });

  test('a forgery with the same jti does not use it up', async () => {
    const claims = { jti: newSecret(16).toString('hex') };
    const forged = replaceSegment(mint(claims), 2, () => Buffer.alloc(64, 1).toString('base64url'));
    expect(await outcome(`Bearer ${forged}`)).toBe('BadJwtSignature');
    expect(await outcome(`Bearer ${mint(claims)}`)).toBe(alice.did);
  });

  test('one from before the record began is refused', async () => {
    expect(await outcome(`Bearer ${mint()}`)).toBe(alice.did);
    await database.sql`truncate replay_entries, replay_birth`;
    expect(await outcome(`Bearer ${mint({ iat: nowSeconds() - 5 })}`)).toBe('JwtTooOld');
    await database.sql`update replay_birth set born_at = now() - interval '1 hour'`;
  });
});

describe('a rotated key', () => {
  test('is honoured at the first token, and the old one is not accepted any more', async () => {
    const account = createAccount(plc);
    const mintFor = (): string => `Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`;
    expect(await outcome(mintFor())).toBe(account.did);
    const old = mintFor();
    account.rotateKey();
    clock.advance(2_000);
    expect(await outcome(mintFor())).toBe(account.did);
    expect(await outcome(old)).toBe('BadJwtSignature');
  });

  test('junk in its name costs one request a minute', async () => {
    const account = createAccount(plc);
    expect(await outcome(`Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`)).toBe(account.did);
    clock.advance(2_000);
    for (let i = 0; i < 20; i++) expect(await outcome(`Bearer ${mint({ iss: account.did })}`)).toBe('BadJwtSignature');
    expect(plc.requests(account.did)).toBe(2);
  });
});

test('a directory that is down is not the fault of the caller', async () => {
  const account = createAccount(plc);
  plc.misbehave(account.did, 'error');
  expect(await outcome(`Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`)).toBe('IdentityUnavailable');
});

test('outside production lxm and jti may be left unchecked, the rest may not', async () => {
  const lax = openAuthenticator({ enforceLxm: false, enforceJti: false });
  const token = mint({ lxm: undefined, jti: undefined });
  expect([await outcome(`Bearer ${token}`, lax), await outcome(`Bearer ${token}`, lax)]).toEqual([
    alice.did,
    alice.did,
  ]);
  expect(await outcome(`Bearer ${mint({ aud: 'did:web:other.dev' })}`, lax)).toBe('BadJwtAudience');
  expect(await outcome(`Bearer ${mirrorS(mint()).slice(0, -4)}AAAA`, lax)).toBe('BadJwtSignature');
});
