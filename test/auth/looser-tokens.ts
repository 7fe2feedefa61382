import type { Oracle } from './token-case.ts';
import type { TokenFixture } from './token-fixture.ts';

/** A token that Nightjar accepts and a reference verifier refuses. */
export interface LooserCase {
  readonly name: string;
  readonly refusedBy: readonly Oracle[];
  /** Why Nightjar accepts it. */
  readonly reason: string;
  readonly token: (fixture: TokenFixture) => string;
}

const kidReason =
  'A key has three names (`#atproto`, `atproto`, and the whole id), and a document may have more than one key.';

export const looserTokens: readonly LooserCase[] = [
  {
    name: 'kid as a whole id',
    refusedBy: ['atcute'],
    reason: kidReason,
    token: ({ mint, alice }) => mint({}, { kid: `${alice.did}#atproto` }),
  },
  {
    name: 'kid as a bare name',
    refusedBy: ['atcute'],
    reason: kidReason,
    token: ({ mint }) => mint({}, { kid: 'atproto' }),
  },
  {
    name: 'exp in 320 seconds, of an issuer whose clock is ahead',
    refusedBy: ['atcute'],
    reason: 'Clocks may differ by 30 seconds.',
    token: ({ mint, nowSeconds }) => mint({ iat: nowSeconds() + 20, exp: nowSeconds() + 320 }),
  },
  {
    name: 'nbf in 20 seconds',
    refusedBy: ['atcute'],
    reason: 'Clocks may differ by 30 seconds.',
    token: ({ mint, nowSeconds }) => mint({ nbf: nowSeconds() + 20 }),
  },
];
