import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { systemClock } from '#platform/clock.ts';
import { runCase } from '../edge/http-case.ts';
import type { Answer } from '../edge/http-case.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { noteRefusal } from '../support/recorded-refusals.ts';
import { startTestBed, startTestServer } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';
import { malformedTokens } from './malformed-tokens.ts';
import { authHeaderCases } from './auth-header-cases.ts';
import { createTokenFixture, mirrorS, replaceSegment } from './token-fixture.ts';
import type { TokenFixture } from './token-fixture.ts';
import { wrongTokens } from './wrong-tokens.ts';

const method = 'getConvos';
const tokenCases = [...malformedTokens, ...wrongTokens];
const hangMs = 2_000;

let bed: TestBed;
let fixture: TokenFixture;
beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
  fixture = createTokenFixture({
    plc: bed.plc,
    service: bed.server().serviceDid,
    lxm: `blue.catbird.mls.${method}`,
    nowSeconds: () => Math.floor(Date.now() / 1_000),
  });
});
afterAll(() => bed.stop());

interface Sent {
  readonly headers: readonly string[];
  readonly search?: string;
  readonly verb?: string;
}

/** Sends the header lines unchanged, which HTTP clients cannot do. */
async function send({ headers, search = '', verb = 'GET' }: Sent, server = 0): Promise<Answer> {
  const lines = [
    `${verb} /xrpc/${fixture.lxm}${search} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    ...headers,
    '',
    '',
  ];
  const step = Buffer.from(lines.join('\r\n'), 'latin1');
  const expected = { status: 0, closes: true } as const;
  const { answers, waitedMs } = await runCase(
    { host: '127.0.0.1', port: bed.server(server).port },
    { name: '', group: '', steps: [step], expected },
    hangMs,
  );
  const [answer, ...others] = answers;
  if (answer === undefined || others.length > 0) throw new Error(`${answers.length} answers`);
  expect(waitedMs).toBeLessThan(hangMs);
  return answer;
}

const bearer = (token: string): Sent => ({ headers: [`Authorization: Bearer ${token}`] });

function errorOf({ status, body }: Answer): unknown {
  if (status === 200) return 200;
  const name = (JSON.parse(body) as Record<string, unknown>)['error'];
  noteRefusal(method, String(name));
  return name;
}

/** Expects a 401 with this error name and its challenge. */
function expectRefusal(answer: Answer, error: AuthErrorCode): void {
  expect([answer.status, errorOf(answer)]).toEqual([401, error]);
  const why = `, error="invalid_token", error_description="${authErrors[error]}", name="${error}"`;
  expect(answer.headers.get('www-authenticate')).toBe(`Bearer realm="nightjar"${error === 'AuthMissing' ? '' : why}`);
}

test('the corpus has at least 220 cases with different names', () => {
  const names = [...tokenCases, ...authHeaderCases].map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(220);
  expect(new Set(names).size).toBe(names.length);
});

describe('an invalid token is refused over HTTP with an error name and a challenge', () => {
  test.for(tokenCases)('$name: $error', async ({ token, error, http }) => {
    const answer = await send(bearer(token(fixture)));
    if (http === undefined) expectRefusal(answer, error);
    else expect([answer.status, errorOf(answer)]).toEqual([http.status, http.error]);
  });
});

describe('a token in the wrong part of the request is refused', () => {
  test.for(authHeaderCases)('$name: $error', async ({ sent, error }) => {
    const answer = await send(sent(() => fixture.mint()));
    if (error === 'InvalidRequest') expect([answer.status, errorOf(answer)]).toEqual([400, error]);
    else expectRefusal(answer, error);
  });
});

describe('a token is accepted once', () => {
  test('across two servers, and after a restart of both', { timeout: 30_000 }, async () => {
    const token = fixture.mint();
    expect(errorOf(await send(bearer(token)))).toBe(200);
    for (const server of [0, 1]) expectRefusal(await send(bearer(token), server), 'JwtReplayed');
    const { identityKey, database, plc } = bed;
    const restarted = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey });
    try {
      const client = createXrpcClient({ server: restarted, account: fixture.alice });
      expect(await client.raw(method, { token })).toMatchObject({
        status: 401,
        text: expect.stringContaining('JwtReplayed') as string,
      });
      expect(await client.raw(method)).toMatchObject({ status: 200 });
    } finally {
      await restarted.stop();
    }
  });

  test('also if it is mirrored, signed again or encoded again', async () => {
    const jti = 'the-same-jti-in-every-form';
    const token = fixture.mint({ jti });
    expect(errorOf(await send(bearer(token)))).toBe(200);
    for (const again of [
      mirrorS(token),
      fixture.mint({ jti }),
      fixture.mint({ jti }, { typ: 'jwt' }),
      fixture.mint({ jti, a: 1 }),
    ]) {
      expectRefusal(await send(bearer(again)), 'JwtReplayed');
    }
    expectRefusal(await send(bearer(replaceSegment(token, 2, (text) => `${text}=`))), 'BadJwt');
  });

  test('a forgery with its jti does not use it up', async () => {
    const jti = 'a-jti-that-was-guessed';
    const forged = replaceSegment(fixture.mint({ jti }), 2, () => Buffer.alloc(64, 1).toString('base64url'));
    expectRefusal(await send(bearer(forged)), 'BadJwtSignature');
    expect(errorOf(await send(bearer(fixture.mint({ jti }))))).toBe(200);
  });
});

test('a key that was rotated between two calls is accepted at once, and the old key is refused', async () => {
  const account = bed.account();
  expect(errorOf(await send(bearer(fixture.mintOf(account))))).toBe(200);
  const old = fixture.mintOf(account);
  account.rotateKey();
  // A document that was fetched within the last second counts as fresh.
  await systemClock.sleep(1_100);
  expect(errorOf(await send(bearer(fixture.mintOf(account))))).toBe(200);
  expectRefusal(await send(bearer(old)), 'BadJwtSignature');
});

test('the caller is the issuer of the token, also if the body names another person', async () => {
  const [alice, bob] = [bed.client(), bed.client()];
  const { device } = await registerTestDevice(bob);
  await createCraftedConversation(alice, []);
  const { bytes } = await device.createKeyPackage();
  const keyPackage = Buffer.from(bytes).toString('base64');
  const expires = new Date(Date.now() + 86_400_000).toISOString() as `${string}Z`;
  const refused = await alice.refusal('publishKeyPackage', { keyPackage, cipherSuite: device.suite.name, expires });
  expect(refused.status).toBe(400);
  expect(refused.error).toMatch(/^Invalid/);
});

test('after all cases both servers are ready, and their logs contain no token and no DID', async () => {
  for (const server of [0, 1]) expect(errorOf(await send(bearer(fixture.mint()), server))).toBe(200);
  const logged = bed.servers.flatMap(({ logLines }) => logLines).join('');
  expect(logged).not.toMatch(/request_failed|background_failed|did:plc|eyJ/);
});
