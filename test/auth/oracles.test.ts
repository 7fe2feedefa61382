import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAccount } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient } from '../support/clients/xrpc-client.ts';
import { looserTokens } from './looser-tokens.ts';
import { malformedTokens } from './malformed-tokens.ts';
import { createOracles } from './oracles.ts';
import { reasons } from './token-case.ts';
import type { Oracle } from './token-case.ts';
import { createTokenFixture, mirrorS, orders } from './token-fixture.ts';
import type { TokenFixture } from './token-fixture.ts';
import { wrongTokens } from './wrong-tokens.ts';

const method = 'getConvos';
const cases = [...malformedTokens, ...wrongTokens];

let bed: TestBed;
let fixture: TokenFixture;
let audiences: readonly string[];
let oracles: ReturnType<typeof createOracles>;

beforeAll(async () => {
  bed = await startTestBed();
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
  const service = bed.server().serviceDid;
  audiences = [service, `${service}#atproto_mls`];
  const nowSeconds = (): number => Math.floor(Date.now() / 1_000);
  fixture = createTokenFixture({ plc: bed.plc, service, lxm: `blue.catbird.mls.${method}`, nowSeconds });
  oracles = createOracles(bed.plc);
});
afterAll(() => bed.stop());

/** Returns the reference verifiers that accept the token. */
async function acceptedBy(token: string): Promise<Oracle[]> {
  const names = ['atproto', 'atcute'] as const;
  const verdicts = await Promise.all(names.map((name) => oracles[name](token, audiences, fixture.lxm)));
  return names.filter((_, at) => verdicts[at]);
}

async function isAcceptedHere(account: Account, token: string): Promise<boolean> {
  const client = createXrpcClient({ server: bed.server(), account });
  const { status } = await client.raw(method, { token });
  expect([200, 401]).toContain(status);
  return status === 200;
}

const validForms = fc.record({
  signer: fc.constantFrom('secp256k1', 'p256', 'web'),
  typ: fc.constantFrom(undefined, 'JWT', 'jwt'),
  kid: fc.constantFrom(undefined, '#atproto'),
  audience: fc.nat({ max: 1 }),
  hasIat: fc.boolean(),
  lifetimeSeconds: fc.integer({ min: 30, max: 300 }),
  nbfAgoSeconds: fc.constantFrom(undefined, 0, 60),
  jti: fc.stringMatching(/^[\w-]{8,40}$/),
  isMirrored: fc.boolean(),
  more: fc.constantFrom({}, { sub: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }, { scope: ['a', { b: 1 }] }, { nonce: 'n' }),
});

test('both reference verifiers accept every valid form of token', { timeout: 30_000 }, async () => {
  const web = createAccount(bed.plc, { did: `did:web:localhost%3A${bed.plc.port}` });
  const signers = { secp256k1: fixture.alice, p256: fixture.bob, web };
  let uses = 0;
  await fc.assert(
    fc.asyncProperty(validForms, async (form) => {
      const account = signers[form.signer as keyof typeof signers];
      const now = fixture.nowSeconds();
      const token = fixture.mintOf(
        account,
        {
          ...form.more,
          aud: audiences[form.audience],
          iat: form.hasIat ? now : undefined,
          exp: now + form.lifetimeSeconds,
          nbf: form.nbfAgoSeconds === undefined ? undefined : now - form.nbfAgoSeconds,
          jti: `${form.jti}-${uses++}`,
        },
        { typ: form.typ, kid: form.kid },
      );
      const order = form.signer === 'p256' ? orders.p256 : orders.secp256k1;
      const sent = form.isMirrored ? mirrorS(token, order) : token;
      expect(await acceptedBy(sent)).toEqual(['atproto', 'atcute']);
      expect(await isAcceptedHere(account, sent)).toBe(true);
    }),
    { numRuns: 150 },
  );
});

describe('every token that a reference verifier accepts and Nightjar refuses is listed with a reason', () => {
  test.for(cases)('$name', async ({ token, stricterThan = {} }) => {
    expect(await acceptedBy(token(fixture))).toEqual(
      (['atproto', 'atcute'] as const).filter((name) => name in stricterThan),
    );
  });

  test('and every reason is used by a case', () => {
    const used = new Set(cases.flatMap(({ stricterThan = {} }) => Object.values(stricterThan)));
    expect([...used].toSorted()).toEqual(Object.keys(reasons).toSorted());
  });
});

describe('every token that Nightjar accepts and a reference verifier refuses is listed', () => {
  test.for(looserTokens)('$name', async ({ token, refusedBy }) => {
    const sent = token(fixture);
    expect(await acceptedBy(sent)).toEqual(
      (['atproto', 'atcute'] as const).filter((name) => !refusedBy.includes(name)),
    );
    expect(await isAcceptedHere(fixture.alice, sent)).toBe(true);
  });
});
