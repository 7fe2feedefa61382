import { expect, test } from 'vitest';
import { readConfig } from '#platform/config/config.ts';
import { createQuota } from '#quota/table/charge.ts';
import { createClaimLimit } from '#quota/table/key-package-claim-limit.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';

const hourMs = 3_600_000;
const target = 'did:plc:target';

function setUp(): { budget: ReturnType<typeof createClaimLimit>; clock: ManualClock; spent: string[] } {
  const clock = createManualClock(1_800_000_000_000);
  const spent: string[] = [];
  const quota = createQuota({ config: readConfig({ NODE_ENV: 'test' }), clock });
  return { budget: createClaimLimit({ quota, onSpent: (name) => spent.push(name) }), clock, spent };
}

async function claims(count: number, claim: (nth: number) => Promise<boolean> | boolean): Promise<number> {
  let granted = 0;
  for (let nth = 0; nth < count; nth++) if (await claim(nth)) granted++;
  return granted;
}

test('one caller gets 5 one-time packages of a person an hour, and others are not in their way', async () => {
  const { budget, spent } = setUp();
  const mallory = { did: 'did:plc:mallory' };
  expect(await claims(8, () => budget.take(mallory, target))).toBe(5);
  expect(spent).toEqual(Array.from({ length: 3 }, () => 'keyPackageTargetByCaller'));
  expect(await claims(5, () => budget.take(mallory, 'did:plc:somebody-else'))).toBe(5);
  expect(await budget.take({ did: 'did:plc:alice' }, target)).toBe(true);
});

test('100 callers get 50 an hour between them, in any hour, and nobody pays for what the others took', async () => {
  const { budget, clock, spent } = setUp();
  const caller = (nth: number): { did: string } => ({ did: `did:plc:drainer${nth}` });
  expect(await claims(100, (nth) => budget.take(caller(nth), target))).toBe(50);
  // Those whom the total refuses have nothing charged to their own budget.
  expect(await claims(10, () => budget.take(caller(99), target))).toBe(0);
  expect(spent).toEqual(Array.from({ length: 60 }, () => 'keyPackageTarget'));
  clock.advance(hourMs / 2);
  expect(await claims(100, (nth) => budget.take(caller(200 + nth), target))).toBe(0);
  clock.advance(hourMs / 2 + hourMs / 60);
  expect(await claims(100, (nth) => budget.take(caller(300 + nth), target))).toBe(50);
});

test('what is given back counts neither for the caller nor in all', async () => {
  const { budget, spent } = setUp();
  const alice = { did: 'did:plc:alice' };
  for (let nth = 0; nth < 200; nth++) {
    expect(await budget.take(alice, target)).toBe(true);
    await budget.refund(alice, target);
  }
  expect(await claims(100, (nth) => budget.take({ did: `did:plc:drainer${nth}` }, target))).toBe(50);
  expect(new Set(spent)).toEqual(new Set(['keyPackageTarget']));
});
