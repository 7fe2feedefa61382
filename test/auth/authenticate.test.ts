import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthenticator } from '#auth/authenticate.ts';
import type { Authenticate, AuthenticatorDeps } from '#auth/authenticate.ts';
import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { createReplayDigest } from '#auth/replay-digest.ts';
import { refusedAccount } from '#auth/refuse-tokens.ts';
import { createReplayGuard } from '#auth/replay-guard.ts';
import { createDidDocuments } from '#identity/did-documents/did-documents.ts';
import { createFetchDidDocument } from '#identity/did-documents/fetch-did-document.ts';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createAccount, randomPlcDid } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { errorCode } from '../support/error-code.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { malformedTokens } from './malformed-tokens.ts';
import type { TokenCase } from './token-case.ts';
import { createTokenFixture, mirrorS, replaceSegment } from './token-fixture.ts';
import type { TokenFixture } from './token-fixture.ts';
import { wrongTokens } from './wrong-tokens.ts';

const service = 'did:web:mls.nightjar.dev';
const lxm = 'blue.catbird.mls.sendMessage';
const good = { aud: service, lxm };

let database: TestDatabase;
let plc: LoopbackPlc;
let clock: ManualClock;
let authenticate: Authenticate;
let alice: Account;
let fixture: TokenFixture;

beforeAll(async () => {
  [database, plc] = await Promise.all([createTestDatabase({ poolSize: 2 }), startLoopbackPlc()]);
  await database.sql`update replay_birth set born_at = now() - interval '1 hour'`;
  clock = createManualClock(Date.now());
  authenticate = openAuthenticator();
  fixture = createTokenFixture({ plc, service, lxm, nowSeconds });
  ({ alice } = fixture);
});
afterAll(() => Promise.all([database.close(), plc.close()]));

function openAuthenticator(options: Partial<AuthenticatorDeps> = {}, timeoutMs = 500): Authenticate {
  const network = 'private';
  const fetchDidDocument = createFetchDidDocument({ clock, network, plcUrl: plc.url, timeoutMs });
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

/** Returns the caller's DID, or the code of the refusal. */
async function outcome(authorization: string | undefined, by: Authenticate = authenticate): Promise<unknown> {
  return by(authorization, lxm).then(({ caller }) => caller.did, errorCode);
}

describe('a valid service token authenticates its issuer', () => {
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
    ['with unknown claims', () => mint({ scope: ['a', { b: 1 }] })],
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

const badTokens: readonly TokenCase[] = [...malformedTokens, ...wrongTokens];

describe('an invalid token is refused with the right error name', () => {
  test.for(badTokens)('$name: $error', async ({ error, token }) => {
    expect(await outcome(`Bearer ${token(fixture)}`)).toBe(error);
  });

  test.for<[string, AuthErrorCode, () => string]>([
    ['exp now', 'JwtExpired', () => mint({ exp: nowSeconds() })],
    ['exp in 331 seconds', 'BadJwtLifetime', () => mint({ iat: undefined, exp: nowSeconds() + 331 })],
    ['iat in 31 seconds', 'BadJwtLifetime', () => mint({ iat: nowSeconds() + 31, exp: nowSeconds() + 60 })],
    ['nbf in 31 seconds', 'BadJwtLifetime', () => mint({ nbf: nowSeconds() + 31 })],
  ])('to the second: %s', async ([, error, token]) => {
    expect(await outcome(`Bearer ${token()}`)).toBe(error);
  });

  test('and none of them is in the record of used tokens', async () => {
    await database.sql`truncate replay_entries`;
    for (const { token } of badTokens) await outcome(`Bearer ${token(fixture)}`);
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

  test('the text is fixed and contains no DID', async () => {
    const error: unknown = await authenticate(`Bearer ${mint({ aud: 'did:web:secret.dev' })}`, lxm).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'AppError', message: authErrors.BadJwtAudience, detail: {} });
  });
});

describe('a token is accepted once', () => {
  test('of 100 concurrent uses one is accepted', async () => {
    const header = `Bearer ${mint()}`;
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => outcome(header)));
    expect(outcomes.filter((result) => result === alice.did)).toHaveLength(1);
    expect(outcomes.filter((result) => result === 'JwtReplayed')).toHaveLength(99);
  });

  test('also if its signature is mirrored, or the same claims are signed again', async () => {
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

  test('a token older than the record is refused', async () => {
    expect(await outcome(`Bearer ${mint()}`)).toBe(alice.did);
    await database.sql`truncate replay_entries, replay_birth`;
    expect(await outcome(`Bearer ${mint({ iat: nowSeconds() - 31 })}`)).toBe('JwtTooOld');
    expect(await outcome(`Bearer ${mint({ iat: nowSeconds() - 5 })}`), 'a new one will do').toBe('ServiceUnavailable');
    await database.sql`update replay_birth set born_at = now() - interval '1 hour'`;
  });
});

test('a token that expires while the document of its issuer is fetched is refused', async () => {
  const account = createAccount(plc);
  plc.misbehave(account.did, 'hang');
  const patient = openAuthenticator({}, 5_000);
  const token = fixture.mintOf(account, { exp: nowSeconds() + 3 });
  const pending = outcome(`Bearer ${token}`, patient);
  await expect.poll(() => plc.pending()).toBe(1);
  clock.advance(3_000);
  plc.misbehave(account.did, undefined);
  plc.release();
  expect(await pending).toBe('JwtExpired');
  expect(await outcome(`Bearer ${fixture.mintOf(account)}`, patient)).toBe(account.did);
});

describe('a rotated key', () => {
  test('is accepted at the first token, and the old key is refused', async () => {
    const account = createAccount(plc);
    const mintFor = (): string => `Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`;
    expect(await outcome(mintFor())).toBe(account.did);
    const old = mintFor();
    account.rotateKey();
    clock.advance(2_000);
    expect(await outcome(mintFor())).toBe(account.did);
    expect(await outcome(old)).toBe('BadJwtSignature');
  });

  test('forged tokens in its name cause one request a minute', async () => {
    const account = createAccount(plc);
    expect(await outcome(`Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`)).toBe(account.did);
    clock.advance(2_000);
    for (let i = 0; i < 20; i++) expect(await outcome(`Bearer ${mint({ iss: account.did })}`)).toBe('BadJwtSignature');
    expect(plc.requests(account.did)).toBe(2);
  });
});

test('a directory that is down gives IdentityUnavailable', async () => {
  const account = createAccount(plc);
  plc.misbehave(account.did, 'error');
  expect(await outcome(`Bearer ${account.mintToken(good, { nowSeconds: nowSeconds() })}`)).toBe('IdentityUnavailable');
});

test('outside production the checks of lxm and jti can be disabled, and the others cannot', async () => {
  const lax = openAuthenticator({ enforceLxm: false, enforceJti: false });
  const token = mint({ lxm: undefined, jti: undefined });
  expect([await outcome(`Bearer ${token}`, lax), await outcome(`Bearer ${token}`, lax)]).toEqual([
    alice.did,
    alice.did,
  ]);
  expect(await outcome(`Bearer ${mint({ aud: 'did:web:other.dev' })}`, lax)).toBe('BadJwtAudience');
  expect(await outcome(`Bearer ${mirrorS(mint()).slice(0, -4)}AAAA`, lax)).toBe('BadJwtSignature');
});
