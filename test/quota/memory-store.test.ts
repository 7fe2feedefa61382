import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { QuotaRule } from '#quota/stores/gcra.ts';
import { createMemoryStore } from '#quota/stores/memory/memory-store.ts';
import type { BucketNames } from '#quota/stores/quota-store.ts';
import { describeStore, nameOf } from './store-contract.ts';

const rule: QuotaRule = { name: 'tested', limit: 10, burst: 10, windowMs: 60_000 };

const contractStore = createMemoryStore(1_000);
describeStore('memory', () => contractStore);

function bucket(current: string, previous?: string): BucketNames {
  return { current: nameOf(current), previous: previous === undefined ? undefined : nameOf(previous) };
}

test('a flood of keys takes no memory beyond the maximum, and new keys together get the limit of one', () => {
  const store = createMemoryStore(1_000);
  let allowed = 0;
  for (let key = 0; key < 200_000; key++) {
    if (store.charge(bucket(`key-${key}`), rule, key / 100).allowed) allowed += 1;
    if (store.bucketCount() > 1_000) break;
  }
  expect(store.bucketCount()).toBe(1_000);
  expect(allowed).toBe(1_000 + 10);
});

test('a flood takes no quota from keys that were stored before it', () => {
  const store = createMemoryStore(1_000);
  store.charge(bucket('known'), rule, 0);
  for (let key = 0; key < 5_000; key++) store.charge(bucket(`key-${key}`), rule, 1);
  const again = Array.from({ length: 20 }, () => store.charge(bucket('known'), rule, 2).allowed);
  expect(again.filter(Boolean)).toHaveLength(9);
});

test('after a window the slots are free again', () => {
  const store = createMemoryStore(1_000);
  for (let key = 0; key < 5_000; key++) store.charge(bucket(`old-${key}`), rule, 0);
  for (let key = 0; key < 500; key++) expect(store.charge(bucket(`new-${key}`), rule, 61_000 + key).allowed).toBe(true);
  expect(store.bucketCount()).toBeLessThanOrEqual(500);
});

test('an expired bucket is removed, so that an idle server stores none', () => {
  const store = createMemoryStore(1_000);
  for (let key = 0; key < 500; key++) store.charge(bucket(`key-${key}`), rule, 0);
  store.charge(bucket('one'), rule, 61_000);
  expect(store.bucketCount()).toBe(1);
});

test('a refund for a new key in a full store makes room for the next one', () => {
  const store = createMemoryStore(1);
  store.charge(bucket('first'), rule, 0);
  for (let key = 0; key < 100; key++) {
    expect(store.charge(bucket(`key-${key}`), rule, 1).allowed).toBe(true);
    store.refund(bucket(`key-${key}`), rule, 1);
  }
});

test('a bucket is found under its previous name once, and stored under the new one', () => {
  const store = createMemoryStore(1_000);
  for (let time = 0; time < 10; time++) store.charge(bucket('old'), rule, 0);
  expect(store.charge(bucket('new', 'old'), rule, 1).allowed).toBe(false);
  expect(store.charge(bucket('new'), rule, 2).allowed).toBe(false);
  expect(store.bucketCount()).toBe(1);
});

test('a hundred thousand busy callers cost little memory, and a charge little time', () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage: () => void = runInNewContext('gc');
  const usedBytes = (): number => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = usedBytes();
  const store = createMemoryStore(100_000);
  const names = Array.from({ length: 150_000 }, (_, key) => bucket(`a-name-of-22-characters-${key}`));
  for (const name of names) store.charge(name, rule, 0);
  const startedMs = performance.now();
  for (let round = 1; round <= 3; round++) for (const name of names) store.charge(name, rule, round * 300);
  const chargeUs = ((performance.now() - startedMs) * 1_000) / (3 * names.length);
  expect(store.bucketCount()).toBe(100_000);
  expect(usedBytes() - before).toBeLessThan(50 * 1_048_576);
  expect(chargeUs, 'microseconds for one charge').toBeLessThan(20);
});

test('five million distinct keys take less than 50 MiB, in all stores of a server that counts alone or shares its count', async () => {
  const child = fileURLToPath(new URL('flood-child.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [child, '5000000', '400000']);
  const { grownMib } = JSON.parse(stdout) as { grownMib: number };
  expect(grownMib).toBeLessThan(50);
}, 120_000);
