import { describe, expect, test } from 'vitest';
import type { Clock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { QuotaSubject } from '#quota/stores/quota-subject.ts';
import { createMemoryStores, createQuota } from '#quota/table/charge.ts';
import type { QuotaCharger } from '#quota/table/charge.ts';
import type { Decision } from '#quota/table/decision.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import { quotas } from '#quota/table/quotas.ts';
import type { CallerQuotaName } from '#quota/table/quotas.ts';

const dayMs = 86_400_000;
const alice = { did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' };
const bob = { did: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb' };

/** A clock that a test moves. Its wall clock and its monotonic clock start at unrelated times, as real ones do. */
function movableClock(): Clock & { move(byMs: number): void } {
  let passedMs = 0;
  return {
    nowMs: () => 1_700_000_000_250 + passedMs,
    monotonicMs: () => 4_321.5 + passedMs,
    sleep: () => Promise.reject(new Error('nothing here sleeps')),
    move: (byMs) => (passedMs += byMs),
  };
}

function setUp(env: Record<string, string> = {}): {
  quota: QuotaCharger;
  clock: ReturnType<typeof movableClock>;
} {
  const clock = movableClock();
  return { quota: createQuota({ config: readConfig(env), clock }), clock };
}

async function spend(times: number, take: () => Decision | Promise<Decision>): Promise<number> {
  let allowed = 0;
  for (let time = 0; time < times; time++) if ((await take()).allowed) allowed += 1;
  return allowed;
}

describe('a caller', () => {
  const callerQuotas = Object.entries(quotas).filter(([, { scope }]) => scope === 'caller');

  test.each(callerQuotas)('gets the limit of %s in a minute, also all at once, and not one more', async (name, row) => {
    const { quota } = setUp();
    const limit = readConfig({})[row.setting];
    expect(await spend(limit + 20, () => quota.takeCaller(alice, name as CallerQuotaName))).toBe(limit);
  });

  test('gets its remaining quota in atproto terms', async () => {
    const { quota, clock } = setUp({ RATE_LIMIT_CREATE_CONVO: '2' });
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    const first = await quota.takeCaller(alice, 'createConvo');
    expect(first).toMatchObject({
      allowed: true,
      name: 'createConvo',
      limit: 2,
      remaining: 1,
      windowSeconds: 60,
      retryAfterSeconds: 0,
    });
    expect(first.resetAtSeconds - nowSeconds).toBeGreaterThanOrEqual(60);
    expect(first.resetAtSeconds - nowSeconds).toBeLessThanOrEqual(62);
    await quota.takeCaller(alice, 'createConvo');
    const refused = await quota.takeCaller(alice, 'createConvo');
    expect(refused).toMatchObject({ allowed: false, name: 'createConvo', remaining: 0 });
  });

  test('that waits for Retry-After is admitted, and one that waits a second less is not', async () => {
    const { quota, clock } = setUp();
    for (let round = 0; round < 20; round++) {
      await spend(150, () => quota.takeCaller(alice, 'sendMessage'));
      const { retryAfterSeconds } = await quota.takeCaller(alice, 'sendMessage');
      expect(Number.isInteger(retryAfterSeconds)).toBe(true);
      clock.move((retryAfterSeconds - 1) * 1000);
      expect((await quota.takeCaller(alice, 'sendMessage')).allowed).toBe(false);
      clock.move(1000);
      expect((await quota.takeCaller(alice, 'sendMessage')).allowed).toBe(true);
      clock.move(round * 777);
    }
  });

  test('has a separate count for each row, independent of other callers', async () => {
    const { quota } = setUp();
    await spend(200, () => quota.takeCaller(alice, 'sendMessage'));
    expect((await quota.takeCaller(alice, 'sendMessage')).allowed).toBe(false);
    expect((await quota.takeCaller(alice, 'getMessages')).allowed).toBe(true);
    expect((await quota.takeCaller(bob, 'sendMessage')).allowed).toBe(true);
    expect(quota.takeAddress('address', '192.0.2.1').allowed).toBe(true);
  });
});

describe('an address', () => {
  test('may send twenty requests at once, then one a second, and no more than sixty in a minute', async () => {
    const { quota, clock } = setUp();
    const take = (): Decision => quota.takeAddress('address', '192.0.2.1');
    expect(await spend(50, take)).toBe(20);
    expect(take()).toMatchObject({ allowed: false, name: 'address', limit: 60, retryAfterSeconds: 1 });
    let allowed = 20;
    for (let second = 0; second < 59; second++) {
      clock.move(1000);
      allowed += await spend(5, take);
    }
    expect(allowed).toBe(60);
  });

  test('is not limited by authenticated requests', async () => {
    const { quota } = setUp();
    for (let person = 0; person < 500; person++) {
      expect(quota.takeAddress('address', '192.0.2.1').allowed).toBe(true);
      quota.refundAddress('address', '192.0.2.1');
    }
    expect(await spend(50, () => quota.takeAddress('address', '192.0.2.1'))).toBe(20);
  });
});

describe('the salt of a day', () => {
  test('changes without refilling any quota', async () => {
    const { quota, clock } = setUp();
    clock.move(dayMs - 10_000);
    expect(await spend(150, () => quota.takeCaller(alice, 'sendMessage'))).toBe(100);
    clock.move(20_000);
    expect(await spend(50, () => quota.takeCaller(alice, 'sendMessage'))).toBe(0);
    clock.move(20_000);
    expect(await spend(50, () => quota.takeCaller(alice, 'sendMessage'))).toBe(0);
    clock.move(61_000);
    expect(await spend(150, () => quota.takeCaller(alice, 'sendMessage'))).toBe(100);
  });

  test('gives kept names too', () => {
    const { quota, clock } = setUp();
    const subjects = [quota.accountOf(alice), quota.conversationOf('0a1b'), new QuotaSubject('192.0.2.1')];
    expect(quota.conversationOf('0a1b')).toBe(subjects[1]);
    const seen = new Set<string>();
    for (let day = 0; day < 3; day++) {
      for (const subject of subjects) {
        const names = subject.namesOf(quota.namer, 'address');
        expect(names).toEqual(quota.namer.nameOf('address', subject.text));
        expect(subject.namesOf(quota.namer, 'address')).toBe(names);
        if (day > 0) expect(seen).toContain(names.previous);
        seen.add(names.current);
      }
      clock.move(dayMs / 2);
      for (const subject of subjects) expect(subject.namesOf(quota.namer, 'address').previous).toBeUndefined();
      clock.move(dayMs / 2 + 1);
    }
    expect(seen.size).toBe(9);
  });

  test('changes also for an address whose charge is refunded after the change', async () => {
    const { quota, clock } = setUp();
    clock.move(dayMs - 100);
    await spend(20, () => quota.takeAddress('address', '192.0.2.1'));
    clock.move(200);
    quota.refundAddress('address', '192.0.2.1');
    expect(await spend(20, () => quota.takeAddress('address', '192.0.2.1'))).toBe(1);
  });

  test('hides the account from the store, and makes names of different days unlinkable', async () => {
    const seen: string[] = [];
    const clock = movableClock();
    const memory = createMemoryStore(1_000);
    const store: typeof memory = {
      ...memory,
      charge: (bucket, ...rest) => (seen.push(JSON.stringify(bucket)), memory.charge(bucket, ...rest)),
    };
    const quota = createQuota({
      config: readConfig({}),
      clock,
      stores: { ...createMemoryStores(), address: store, caller: store },
    });
    for (let day = 0; day < 2; day++) {
      quota.takeAddress('address', '192.0.2.1');
      await quota.takeCaller(alice, 'sendMessage');
      await quota.takeCaller(alice, 'getMessages');
      // Past the overlap in which the names of both days are passed.
      clock.move(dayMs);
      await quota.takeCaller(bob, 'sendMessage');
      clock.move(300_000);
    }
    expect(seen.join('\n')).not.toMatch(/did:|192[.]0|aaaa|sendMessage/);
    const names = seen.map((bucket) => String(JSON.parse(bucket).current));
    expect(new Set(names).size).toBe(names.length);
  });
});
