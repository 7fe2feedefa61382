import { expect, test } from 'vitest';
import { readConfig } from '#platform/config/config.ts';
import { createQuota } from '#quota/table/charge.ts';
import { createClaimLimit } from '#quota/table/key-package-claim-limit.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const hourMs = 3_600_000;
const target = 'did:plc:target';

function setUp(): { claimLimit: ReturnType<typeof createClaimLimit>; clock: ManualClock; exhausted: string[] } {
  const clock = createManualClock(1_800_000_000_000);
  const exhausted: string[] = [];
  const quota = createQuota({ config: readConfig({ NODE_ENV: 'test' }), clock });
  return { claimLimit: createClaimLimit({ quota, onExhausted: (name) => exhausted.push(name) }), clock, exhausted };
}

async function claims(count: number, claim: (nth: number) => Promise<boolean> | boolean): Promise<number> {
  let granted = 0;
  for (let nth = 0; nth < count; nth++) if (await claim(nth)) granted++;
  return granted;
}

test('one caller gets 5 one-time packages of a person an hour, independent of other callers', async () => {
  const { claimLimit, exhausted } = setUp();
  const mallory = { did: 'did:plc:mallory' };
  expect(await claims(8, () => claimLimit.take(mallory, target))).toBe(5);
  expect(exhausted).toEqual(Array.from({ length: 3 }, () => 'keyPackageTargetByCaller'));
  expect(await claims(5, () => claimLimit.take(mallory, 'did:plc:another'))).toBe(5);
  expect(await claimLimit.take({ did: 'did:plc:alice' }, target)).toBe(true);
});

test('100 callers get 50 an hour together, in any hour, and a caller is not charged for claims of others', async () => {
  const { claimLimit, clock, exhausted } = setUp();
  const caller = (nth: number): { did: string } => ({ did: `did:plc:drainer${nth}` });
  expect(await claims(100, (nth) => claimLimit.take(caller(nth), target))).toBe(50);
  // A caller that the total refuses is not charged on its own limit.
  expect(await claims(10, () => claimLimit.take(caller(99), target))).toBe(0);
  expect(exhausted).toEqual(Array.from({ length: 60 }, () => 'keyPackageTarget'));
  clock.advance(hourMs / 2);
  expect(await claims(100, (nth) => claimLimit.take(caller(200 + nth), target))).toBe(0);
  clock.advance(hourMs / 2 + hourMs / 60);
  expect(await claims(100, (nth) => claimLimit.take(caller(300 + nth), target))).toBe(50);
});

test('a refunded claim counts neither for the caller nor in the total', async () => {
  const { claimLimit, exhausted } = setUp();
  const alice = { did: 'did:plc:alice' };
  for (let nth = 0; nth < 200; nth++) {
    expect(await claimLimit.take(alice, target)).toBe(true);
    await claimLimit.refund(alice, target);
  }
  expect(await claims(100, (nth) => claimLimit.take({ did: `did:plc:drainer${nth}` }, target))).toBe(50);
  expect(new Set(exhausted)).toEqual(new Set(['keyPackageTarget']));
});
