import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import type { AuthErrorCode } from '#auth/auth-error.ts';
import { systemClock } from '#platform/clock.ts';
import { runCase } from '../edge/http-case.ts';
import type { ReceivedResponse } from '../edge/http-case.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { registerTestDevice } from '../support/clients/register-device.ts';
import { noteRefusal } from '../support/seen-refusals.ts';
import { startTestBed, startTestServer } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';
import { malformedTokens } from './malformed-tokens.ts';
import { authHeaderCases } from './auth-header-cases.ts';
import { createTokenScene, mirrorS, replaceSegment } from './token-fixture.ts';
import type { TokenScene } from './token-fixture.ts';
import { wrongTokens } from './wrong-tokens.ts';

const method = 'getConvos';
const tokenCases = [...malformedTokens, ...wrongTokens];
const hangMs = 2_000;

let bed: TestBed;
let scene: TokenScene;
beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
  scene = createTokenScene({
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

/** Sends the lines as they stand, which no HTTP client does. */
async function ask({ headers, search = '', verb = 'GET' }: Sent, server = 0): Promise<ReceivedResponse> {
  const lines = [
    `${verb} /xrpc/${scene.lxm}${search} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    ...headers,
    '',
    '',
  ];
  const step = Buffer.from(lines.join('\r\n'), 'latin1');
  const expected = { status: 0, closes: true } as const;
  const { responses, waitedMs } = await runCase(
    { host: '127.0.0.1', port: bed.server(server).port },
    { name: '', group: '', steps: [step], expected },
    hangMs,
  );
  const [answer, ...others] = responses;
  if (answer === undefined || others.length > 0) throw new Error(`${responses.length} responses`);
  expect(waitedMs).toBeLessThan(hangMs);
  return answer;
}

const bearer = (token: string): Sent => ({ headers: [`Authorization: Bearer ${token}`] });

function errorOf({ status, body }: ReceivedResponse): unknown {
  if (status === 200) return 200;
  const name = (JSON.parse(body) as Record<string, unknown>)['error'];
  noteRefusal(method, String(name));
  return name;
}

/** A 401 with this name and the challenge that belongs to it. */
function expectRefusal(answer: ReceivedResponse, error: AuthErrorCode): void {
  expect([answer.status, errorOf(answer)]).toEqual([401, error]);
  const why = `, error="invalid_token", error_description="${authErrors[error]}", name="${error}"`;
  expect(answer.headers.get('www-authenticate')).toBe(`Bearer realm="nightjar"${error === 'AuthMissing' ? '' : why}`);
}

test('the corpus is large, and every case has a name of its own', () => {
  const names = [...tokenCases, ...authHeaderCases].map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(220);
  expect(new Set(names).size).toBe(names.length);
});

describe('a token that is not right in all is refused over HTTP, by name, with a challenge', () => {
  test.for(tokenCases)('$name: $error', async ({ token, error, http }) => {
    const answer = await ask(bearer(token(scene)));
    if (http === undefined) expectRefusal(answer, error);
    else expect([answer.status, errorOf(answer)]).toEqual([http.status, http.error]);
  });
});

describe('a token that is not where it belongs is refused', () => {
  test.for(authHeaderCases)('$name: $error', async ({ sent, error }) => {
    const answer = await ask(sent(() => scene.mint()));
    if (error === 'InvalidRequest') expect([answer.status, errorOf(answer)]).toEqual([400, error]);
    else expectRefusal(answer, error);
  });
});

describe('a token is good once', () => {
  test('on one server, on the other, and after a restart of both', { timeout: 30_000 }, async () => {
    const token = scene.mint();
    expect(errorOf(await ask(bearer(token)))).toBe(200);
    for (const server of [0, 1]) expectRefusal(await ask(bearer(token), server), 'JwtReplayed');
    const { identityKey, database, plc } = bed;
    const restarted = await startTestServer({ databaseUrl: database.url, plcUrl: plc.url, identityKey });
    try {
      const client = createXrpcClient({ server: restarted, account: scene.alice });
      expect(await client.raw(method, { token })).toMatchObject({
        status: 401,
        text: expect.stringContaining('JwtReplayed') as string,
      });
      expect(await client.raw(method)).toMatchObject({ status: 200 });
    } finally {
      await restarted.stop();
    }
  });

  test('also in another text: mirrored, signed again, encoded again', async () => {
    const jti = 'the-same-jti-in-every-form';
    const token = scene.mint({ jti });
    expect(errorOf(await ask(bearer(token)))).toBe(200);
    for (const again of [
      mirrorS(token),
      scene.mint({ jti }),
      scene.mint({ jti }, { typ: 'jwt' }),
      scene.mint({ jti, a: 1 }),
    ]) {
      expectRefusal(await ask(bearer(again)), 'JwtReplayed');
    }
    expectRefusal(await ask(bearer(replaceSegment(token, 2, (text) => `${text}=`))), 'BadJwt');
  });

  test('a forgery with its jti does not use it up', async () => {
    const jti = 'a-jti-that-somebody-guessed';
    const forged = replaceSegment(scene.mint({ jti }), 2, () => Buffer.alloc(64, 1).toString('base64url'));
    expectRefusal(await ask(bearer(forged)), 'BadJwtSignature');
    expect(errorOf(await ask(bearer(scene.mint({ jti }))))).toBe(200);
  });
});

test('a key that was rotated between two calls is honoured at once, and the old one no longer', async () => {
  const account = bed.account();
  expect(errorOf(await ask(bearer(scene.mintOf(account))))).toBe(200);
  const old = scene.mintOf(account);
  account.rotateKey();
  // A document that was fetched within the last second counts as fresh.
  await systemClock.sleep(1_100);
  expect(errorOf(await ask(bearer(scene.mintOf(account))))).toBe(200);
  expectRefusal(await ask(bearer(old)), 'BadJwtSignature');
});

test('a token speaks for its issuer, whoever the body names', async () => {
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

test('after all that both servers are well, and logged nothing of it', async () => {
  for (const server of [0, 1]) expect(errorOf(await ask(bearer(scene.mint()), server))).toBe(200);
  const logged = bed.servers.flatMap(({ logLines }) => logLines).join('');
  expect(logged).not.toMatch(/request_failed|background_failed|did:plc|eyJ/);
});
