import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { charge as chargeInPlace, emptyState, isExpired, peek, refund as refundInPlace } from '#quota/stores/gcra.ts';
import type { Outcome, QuotaRule, QuotaState } from '#quota/stores/gcra.ts';

const windowMs = 60_000;
const rules = fc
  .tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 150 }))
  .map(([limit, burst]): QuotaRule => ({ name: 'tested', limit, burst, windowMs }));
/** Bursts, steady streams, pauses near the width of the window, and fractions of a millisecond. */
const gaps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.double({ min: 0, max: 1_500, noNaN: true }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 70_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(59_999, 60_000, 60_001, 61_000) },
  ),
  { maxLength: 700, size: 'max' },
);
const start = fc.double({ min: 0, max: 1e9, noNaN: true });

/** Charges a copy, so that a test can charge one state twice. */
function charge(
  rule: QuotaRule,
  state: QuotaState | undefined,
  nowMs: number,
  cost?: number,
): { state: QuotaState; outcome: Outcome } {
  const charged = structuredClone(state ?? emptyState());
  return { state: charged, outcome: chargeInPlace(rule, charged, nowMs, cost) };
}

/** Refunds a charge in a copy. */
function refund(rule: QuotaRule, state: QuotaState, chargedAtMs: number, cost?: number): QuotaState {
  const left = structuredClone(state);
  refundInPlace(rule, left, chargedAtMs, cost);
  return left;
}

function admit(rule: QuotaRule, times: readonly number[]): number[] {
  let state: QuotaState | undefined;
  return times.filter((timeMs) => {
    const charged = charge(rule, state, timeMs);
    ({ state } = charged);
    return charged.outcome.allowed;
  });
}

function timesOf(startMs: number, gapsMs: readonly number[]): number[] {
  let nowMs = startMs;
  return gapsMs.map((gapMs) => (nowMs += gapMs));
}

function mostInAnyWindow(times: readonly number[]): number {
  let [most, from] = [0, 0];
  for (const [to, timeMs] of times.entries()) {
    while ((times[from] ?? 0) <= timeMs - windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

describe('for any sequence of requests', () => {
  test('no window admits more than its limit, wherever it begins', () => {
    fc.assert(
      fc.property(rules, start, gaps, (rule, startMs, gapsMs) => {
        expect(mostInAnyWindow(admit(rule, timesOf(startMs, gapsMs)))).toBeLessThanOrEqual(rule.limit);
      }),
      { numRuns: 400 },
    );
  });

  test('a short time admits no more than the burst plus what the rate adds', () => {
    fc.assert(
      fc.property(rules, start, gaps, (rule, startMs, gapsMs) => {
        const admitted = admit(rule, timesOf(startMs, gapsMs));
        const burst = Math.min(rule.burst, rule.limit);
        for (const [from, fromMs] of admitted.entries()) {
          for (const [to, toMs] of admitted.entries()) {
            if (to < from || toMs - fromMs > windowMs) continue;
            const added = Math.floor(((toMs - fromMs) * rule.limit) / windowMs + 1e-4);
            expect(to - from + 1).toBeLessThanOrEqual(burst + added);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a refused request passes after the wait in the refusal, and not before', () => {
    fc.assert(
      fc.property(rules, start, gaps, (rule, startMs, gapsMs) => {
        let state: QuotaState | undefined;
        for (const nowMs of timesOf(startMs, gapsMs)) {
          const { state: next, outcome } = charge(rule, state, nowMs);
          state = next;
          if (outcome.allowed) continue;
          expect(outcome.waitMs).toBeGreaterThan(0);
          expect(outcome.waitMs).toBeLessThanOrEqual(windowMs + windowMs / 60);
          expect(charge(rule, state, nowMs + outcome.waitMs + 0.01).outcome.allowed).toBe(true);
          if (outcome.waitMs > 1) expect(charge(rule, state, nowMs + outcome.waitMs - 0.5).outcome.allowed).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('as many charges as remain pass at once, and one more does not', () => {
    fc.assert(
      fc.property(rules, start, gaps, (rule, startMs, gapsMs) => {
        const times = timesOf(startMs, gapsMs);
        const nowMs = times.at(-1) ?? startMs;
        let charged = charge(rule, undefined, startMs);
        for (const timeMs of times) charged = charge(rule, charged.state, timeMs);
        const { remaining } = charged.outcome;
        for (let left = remaining; left > 0; left--) {
          charged = charge(rule, charged.state, nowMs);
          expect(charged.outcome).toMatchObject({ allowed: true, remaining: left - 1 });
        }
        expect(charge(rule, charged.state, nowMs).outcome.allowed).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test('a restored bucket is equal to a new one', () => {
    fc.assert(
      fc.property(rules, start, gaps, (rule, startMs, gapsMs) => {
        let charged = charge(rule, undefined, startMs);
        let nowMs = startMs;
        for (nowMs of timesOf(startMs, gapsMs)) charged = charge(rule, charged.state, nowMs);
        const laterMs = nowMs + charged.outcome.restoredInMs + 0.01;
        expect(isExpired(rule, charged.state, laterMs)).toBe(true);
        expect(charge(rule, charged.state, laterMs).outcome.remaining).toBe(Math.min(rule.burst, rule.limit) - 1);
        if (charged.outcome.restoredInMs > 1) expect(isExpired(rule, charged.state, laterMs - 1)).toBe(false);
      }),
    );
  });

  test('the state stays small', () => {
    const rule: QuotaRule = { name: 'tested', limit: 1_000_000, burst: 1_000_000, windowMs };
    let state: QuotaState | undefined;
    for (let nowMs = 0; nowMs < 5 * windowMs; nowMs += 40) {
      ({ state } = charge(rule, state, nowMs));
      expect(state.counts.length).toBeLessThanOrEqual(61);
    }
  });
});

describe('charges of different cost', () => {
  const weighted = fc.array(
    fc.tuple(
      fc.oneof(
        { weight: 5, arbitrary: fc.constant(0) },
        { weight: 3, arbitrary: fc.double({ min: 0, max: 1_500, noNaN: true }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 70_000 }) },
      ),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
    { maxLength: 300, size: 'max' },
  );
  const widths = fc.constantFrom(1_000, windowMs, 3_600_000);

  test('add up to no more than the limit in any window, and a refused one changes nothing', () => {
    fc.assert(
      fc.property(rules, widths, start, weighted, (base, widthMs, startMs, steps) => {
        const rule = { ...base, windowMs: widthMs };
        const admitted: { readonly atMs: number; readonly cost: number }[] = [];
        let state: QuotaState | undefined;
        let nowMs = startMs;
        for (const [gapMs, share] of steps) {
          nowMs += (gapMs * widthMs) / windowMs;
          const cost = 1 + Math.floor(share * (rule.limit - 1));
          const before = charge(rule, state, nowMs).outcome;
          const charged = charge(rule, state, nowMs, cost);
          state = charged.state;
          if (charged.outcome.allowed) admitted.push({ atMs: nowMs, cost });
          else expect(charge(rule, state, nowMs).outcome).toEqual(before);
        }
        for (const { atMs } of admitted) {
          const within = admitted.filter((other) => other.atMs >= atMs && other.atMs < atMs + widthMs);
          expect(within.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(rule.limit);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('pass after the wait in the refusal, at any cost, also above the burst', () => {
    fc.assert(
      fc.property(rules, start, weighted, (rule, startMs, steps) => {
        let state: QuotaState | undefined;
        let nowMs = startMs;
        for (const [gapMs, share] of steps) {
          nowMs += gapMs;
          const cost = 1 + Math.floor(share * (rule.limit - 1));
          const charged = charge(rule, state, nowMs, cost);
          state = charged.state;
          if (charged.outcome.allowed) continue;
          expect(charge(rule, state, nowMs + charged.outcome.waitMs + 0.01, cost).outcome.allowed).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('are whole numbers from 1 to the limit', () => {
    const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs };
    for (const cost of [0, -1, 1.5, 11, Number.NaN]) {
      expect(() => charge(rule, undefined, 0, cost)).toThrow(RangeError);
    }
    expect(charge(rule, undefined, 0, 10).outcome).toMatchObject({ allowed: true, remaining: 0 });
  });

  test('are refunded at the same cost', () => {
    const rule: QuotaRule = { name: 'tested', limit: 1_000, burst: 1_000, windowMs };
    const { state: first } = charge(rule, undefined, 0, 600);
    const { state: both } = charge(rule, first, 5_000, 300);
    const left = refund(rule, both, 5_001, 600);
    expect(charge(rule, left, 5_002).outcome.remaining).toBe(699);
    expect(charge(rule, refund(rule, left, 5_001, 1_000), 5_002).outcome.remaining).toBe(999);
  });
});

test('a clock that was set back by a day blocks no client for a day', () => {
  const rule: QuotaRule = { name: 'tested', limit: 1, burst: 1, windowMs };
  const dayMs = 86_400_000;
  const { state } = charge(rule, undefined, 10 * dayMs);
  expect(charge(rule, state, 10 * dayMs - 5_000).outcome.allowed).toBe(false);
  expect(charge(rule, state, 9 * dayMs).outcome.allowed).toBe(true);
});

describe('a client', () => {
  const rule: QuotaRule = { name: 'tested', limit: 100, burst: 100, windowMs };

  test('may use its whole limit at once after a pause, and again a window later, never twice within one', () => {
    const burst = Array.from({ length: 150 }, () => 59_990);
    const across = Array.from({ length: 150 }, () => 60_010);
    const later = Array.from({ length: 150 }, () => 121_000);
    const admitted = admit(rule, [...burst, ...across, ...later]);
    expect(admitted.filter((timeMs) => timeMs === 59_990)).toHaveLength(100);
    expect(admitted.filter((timeMs) => timeMs === 60_010)).toHaveLength(0);
    expect(admitted.filter((timeMs) => timeMs === 121_000)).toHaveLength(100);
  });

  test.each([1, 5, 20, 100, 500])('that spreads %i requests over 61 seconds is never refused', (limit) => {
    const spread = Array.from({ length: limit * 10 }, (_, index) => 12_345.678 + (index * 61_000) / limit);
    expect(admit({ ...rule, limit, burst: limit }, spread)).toHaveLength(spread.length);
  });

  test.each([
    [20, 0.95],
    [100, 0.97],
    [500, 0.97],
  ])('that sends all of %i requests a minute at an even pace gets %f of them', (limit, share) => {
    const requested = Array.from({ length: limit * 20 }, (_, index) => 12_345.678 + (index * 60_000) / limit);
    expect(admit({ ...rule, limit, burst: limit }, requested).length / requested.length).toBeGreaterThan(share);
  });

  test('that sends requests without pause still gets its limit in every window', () => {
    const requests = Array.from({ length: 20 * 600 }, (_, index) => index * 100);
    expect(admit(rule, requests).length).toBeGreaterThanOrEqual(20 * 100 * (60 / 61) - 100);
  });
});

describe('a refunded charge', () => {
  test('does not count', () => {
    const rule: QuotaRule = { name: 'tested', limit: 60, burst: 20, windowMs };
    let state: QuotaState | undefined;
    for (let nowMs = 0; nowMs < 10_000; nowMs++) {
      const charged = charge(rule, state, nowMs);
      expect(charged.outcome.allowed).toBe(true);
      state = refund(rule, charged.state, nowMs);
    }
  });

  test('leaves the limit of all others unchanged, whichever is refunded and when', () => {
    const tight = fc
      .integer({ min: 2, max: 8 })
      .map((limit): QuotaRule => ({ name: 'tested', limit, burst: limit, windowMs }));
    const gap = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 30_000 }));
    const steps = fc.array(fc.tuple(gap, fc.option(fc.nat(), { freq: 2 })), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(tight, steps, (rule, sequence) => {
        let state: QuotaState | undefined;
        let counted: number[] = [];
        let nowMs = 0;
        for (const [gapMs, given] of sequence) {
          nowMs += gapMs;
          const recent = counted.filter((timeMs) => timeMs > nowMs - windowMs);
          if (given !== null && recent.length > 0 && state !== undefined) {
            const timeMs = recent[given % recent.length];
            counted = counted.toSpliced(counted.lastIndexOf(timeMs ?? -1), 1);
            state = refund(rule, state, timeMs ?? nowMs);
          } else {
            const charged = charge(rule, state, nowMs);
            ({ state } = charged);
            if (charged.outcome.allowed) counted.push(nowMs);
          }
        }
        expect(mostInAnyWindow(counted)).toBeLessThanOrEqual(rule.limit);
      }),
      { numRuns: 300 },
    );
  });

  test('does not delay when other charges leave the window', () => {
    const rule: QuotaRule = { name: 'tested', limit: 60, burst: 20, windowMs };
    let state: QuotaState | undefined;
    for (let second = 0; second < 600; second++) {
      const authenticated = charge(rule, state, second * 1_000);
      state = refund(rule, authenticated.state, second * 1_000);
      if (second % 5 > 0) continue;
      const unauthenticated = charge(rule, state, second * 1_000 + 500);
      ({ state } = unauthenticated);
      // One request in five seconds: never more than 13 are counted.
      expect(unauthenticated.outcome.allowed).toBe(true);
      expect(rule.limit - state.counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(60 - 13);
    }
  });

  test('counts as much after a refused charge or a peek as before, also when the window has moved on', () => {
    const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs };
    const state = emptyState();
    for (const atMs of [0, 30_000]) chargeInPlace(rule, state, atMs, 5);
    const before = structuredClone(state);
    expect(chargeInPlace(rule, state, 61_500, 8).allowed).toBe(false);
    expect(peek(rule, state, 61_500, 1).allowed).toBe(true);
    expect(state).toEqual(before);
  });

  test('cannot raise a bucket above its limit', () => {
    const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs };
    let { state } = charge(rule, undefined, 0);
    for (let again = 0; again < 50; again++) state = refund(rule, state, 0);
    const passed = Array.from({ length: 50 }, () => {
      const charged = charge(rule, state, 0);
      ({ state } = charged);
      return charged.outcome.allowed;
    });
    expect(passed.filter(Boolean)).toHaveLength(10);
  });
});
