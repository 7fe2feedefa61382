import type { Oracle } from './token-case.ts';
import type { TokenScene } from './token-fixture.ts';

/** A token that is accepted here and not by every reference verifier. */
export interface LooserCase {
  readonly name: string;
  readonly refusedBy: readonly Oracle[];
  /** Why it is accepted all the same. */
  readonly reason: string;
  readonly token: (scene: TokenScene) => string;
}

const kidReason =
  'A key has three names (`#atproto`, `atproto`, and the whole id), and a document may hold more than one key.';

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
