import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { QuotaRule } from '#quota/stores/gcra.ts';
import type { BucketNames, QuotaStore } from '#quota/stores/quota-store.ts';

const windowMs = 60_000;
const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs };
/** A real date, because some stores compare stored times with their own clock. */
const startMs = Date.UTC(2026, 0, 1, 12) + 0.25;
let bucketCount = 0;

/** A bucket that no other test uses; `label` distinguishes those of one test. */
export function newBucket(label = ''): BucketNames {
  bucketCount += 1;
  return { current: nameOf(`${bucketCount} ${label}`), previous: undefined };
}

/** Names are hex of 16 bytes, as HMACs are. */
export function nameOf(label: string): string {
  return createHash('sha256').update(label).digest('hex').slice(0, 32);
}

async function admitted(times: number, charge: () => unknown): Promise<number> {
  let count = 0;
  for (let time = 0; time < times; time++) {
    const outcome = await charge();
    if ((outcome as { allowed: boolean }).allowed) count += 1;
  }
  return count;
}

/** The contract of every store, tested with the times that are passed to it. */
export function describeStore(name: string, storeOf: () => QuotaStore): void {
  describe(`the ${name} store`, () => {
    test('admits the limit and not one more, and returns what remains', async () => {
      const bucket = newBucket();
      expect(await storeOf().charge(bucket, rule, startMs)).toMatchObject({ allowed: true, remaining: 9, waitMs: 0 });
      expect(await admitted(20, () => storeOf().charge(bucket, rule, startMs))).toBe(9);
      const refused = await storeOf().charge(bucket, rule, startMs + 1_000);
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      expect(refused.waitMs).toBeGreaterThan(windowMs - 1_001);
      expect(refused.waitMs).toBeLessThanOrEqual(windowMs);
    });

    test('admits no more than the limit in any window, also across a boundary', async () => {
      const bucket = newBucket();
      const minuteMs = Math.ceil(startMs / windowMs) * windowMs;
      const times: number[] = [];
      for (let second = -30; second < 200; second += second < 0 || second > 100 ? 0.5 : 3.7) {
        const atMs = minuteMs + second * 1_000;
        const { allowed } = await storeOf().charge(bucket, rule, atMs);
        if (allowed) times.push(atMs);
      }
      expect(times.length).toBeGreaterThan(25);
      for (const fromMs of times) {
        const within = times.filter((atMs) => atMs >= fromMs && atMs < fromMs + windowMs);
        expect(within.length).toBeLessThanOrEqual(rule.limit);
      }
    });

    test('admits a client that waits for the whole seconds of Retry-After, and none that waits a second less', async () => {
      const bucket = newBucket();
      let nowMs = startMs;
      for (let round = 0; round < 8; round++) {
        await admitted(12, () => storeOf().charge(bucket, rule, nowMs));
        const { allowed, waitMs } = await storeOf().charge(bucket, rule, nowMs);
        expect(allowed).toBe(false);
        const retryAfterMs = Math.ceil(waitMs / 1_000) * 1_000;
        expect(await storeOf().charge(bucket, rule, nowMs + retryAfterMs - 1_000)).toMatchObject({ allowed: false });
        nowMs += retryAfterMs;
        expect(await storeOf().charge(bucket, rule, nowMs)).toMatchObject({ allowed: true });
        nowMs += round * 777;
      }
    });

    test('charges the cost of a request, and nothing when it is refused', async () => {
      const bucket = newBucket();
      expect(await storeOf().charge(bucket, rule, startMs, 7)).toMatchObject({ allowed: true, remaining: 3 });
      expect(await storeOf().charge(bucket, rule, startMs, 4)).toMatchObject({ allowed: false, remaining: 3 });
      expect(await storeOf().charge(bucket, rule, startMs, 3)).toMatchObject({ allowed: true, remaining: 0 });
      await expect(async () => storeOf().charge(bucket, rule, startMs, 11)).rejects.toThrow(RangeError);
      await expect(async () => storeOf().charge(bucket, rule, startMs, 0)).rejects.toThrow(RangeError);
    });

    test('returns the outcome of a charge on peek, and charges nothing', async () => {
      const bucket = newBucket();
      for (let time = 0; time < 30; time++) {
        expect(await storeOf().peek(bucket, rule, startMs, 4)).toMatchObject({ allowed: true });
      }
      await storeOf().charge(bucket, rule, startMs, 7);
      const peeked = await storeOf().peek(bucket, rule, startMs, 4);
      expect(peeked.allowed).toBe(false);
      expect(await storeOf().charge(bucket, rule, startMs, 4)).toEqual(peeked);
    });

    test('refunds charges at the same cost', async () => {
      const bucket = newBucket();
      await storeOf().charge(bucket, rule, startMs, 6);
      await storeOf().charge(bucket, rule, startMs + 5_000, 4);
      await storeOf().refund(bucket, rule, startMs + 5_000, 4);
      expect(await storeOf().peek(bucket, rule, startMs + 6_000, 4)).toMatchObject({ allowed: true, remaining: 0 });
      // The charges of the first second leave the window at their own time.
      expect(await storeOf().peek(bucket, rule, startMs + 61_500, 10)).toMatchObject({ allowed: true });
      await storeOf().refund(newBucket('never charged'), rule, startMs);
    });

    test('supports rules with different windows, and removes neither early', async () => {
      const hourly: QuotaRule = { name: 'hourly', limit: 10, burst: 10, windowMs: 3_600_000 };
      const [long, short] = [newBucket('long'), newBucket('short')];
      await storeOf().charge(long, hourly, startMs, 10);
      for (let minute = 0; minute < 55; minute += 5) {
        const nowMs = startMs + minute * 60_000;
        expect(await storeOf().charge(long, hourly, nowMs)).toMatchObject({ allowed: false });
        expect(await storeOf().charge(short, rule, nowMs, 10)).toMatchObject({ allowed: true });
      }
      expect(await storeOf().charge(long, hourly, startMs + 3_661_000, 10)).toMatchObject({ allowed: true });
    });

    test('moves charges from a previous name to the current one, once', async () => {
      const [old, current] = [newBucket('old'), newBucket('new')];
      await storeOf().charge(old, rule, startMs, 10);
      const renamed = { current: current.current, previous: old.current };
      expect(await storeOf().charge(renamed, rule, startMs + 1)).toMatchObject({ allowed: false });
      await storeOf().refund(renamed, rule, startMs, 4);
      expect(await storeOf().charge(current, rule, startMs + 2, 5)).toMatchObject({ allowed: false, remaining: 4 });
      expect(await storeOf().charge(current, rule, startMs + 2, 4)).toMatchObject({ allowed: true });
      expect(await storeOf().charge(old, rule, startMs + 3, 10)).toMatchObject({ allowed: true });
    });

    test('counts every one of many concurrent charges', async () => {
      const bucket = newBucket();
      const others = Array.from({ length: 5 }, (_, index) => newBucket(`other ${index}`));
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          await storeOf().charge(others[index % 5] ?? bucket, rule, startMs);
          return storeOf().charge(bucket, rule, startMs);
        }),
      );
      expect(outcomes.filter(({ allowed }) => allowed)).toHaveLength(10);
    });
  });
}
