import { describe, expect, test } from 'vitest';
import { newSecret } from '#platform/ids.ts';
import type { TokenResult } from '#storage/rows/replay-entries.ts';
import type { ReplayGuard, ReplayResult } from './replay-guard.ts';
import { DeferredTokenUse } from './token-use.ts';

const mark = { digest: newSecret(16), expiresAtSeconds: 0, account: newSecret(16), issuedAtSeconds: 0 };

/** Creates a use whose own statement gives `recorded`, and counts the statements and the first uses. */
function deferredUse(recorded: ReplayResult): { use: DeferredTokenUse; counts: { statements: number; first: number } } {
  const counts = { statements: 0, first: 0 };
  const guard: ReplayGuard = {
    markOf: () => mark,
    async record() {
      counts.statements += 1;
      return recorded;
    },
    firstUse: async () => recorded,
    isRevoked: async () => false,
    ensureRecord: async () => undefined,
  };
  return { use: new DeferredTokenUse(mark, { guard, onFirstUse: () => void (counts.first += 1) }), counts };
}

describe('a token counts as used for the first time', () => {
  test('once, when the transaction of its operation records it', async () => {
    const { use, counts } = deferredUse('first');
    use.conclude('first');
    await use.record();
    expect(counts).toEqual({ statements: 0, first: 1 });
  });

  test('once, when a statement of its own records it after an undecided transaction', async () => {
    const { use, counts } = deferredUse('first');
    use.conclude('undecided');
    await use.record();
    await use.record();
    expect(counts).toEqual({ statements: 1, first: 1 });
  });
});

test.for<[TokenResult, ReplayResult, string]>([
  ['replayed', 'first', 'JwtReplayed'],
  ['undecided', 'replayed', 'JwtReplayed'],
  ['undecided', 'revoked', 'JwtRevoked'],
  ['undecided', 'before-record', 'JwtTooOld'],
])('a token with the results %s and %s counts as no first use', async ([concluded, recorded, code]) => {
  const { use, counts } = deferredUse(recorded);
  const conclude = async (): Promise<void> => {
    use.conclude(concluded);
    await use.record();
  };
  await expect(conclude()).rejects.toMatchObject({ code });
  expect(counts.first).toBe(0);
});

test('after a failed transaction nothing is recorded, because its commit may have succeeded', async () => {
  const { use, counts } = deferredUse('replayed');
  use.abandon();
  await use.record();
  expect(counts).toEqual({ statements: 0, first: 0 });
});
