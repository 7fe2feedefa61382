import { expect, test } from 'vitest';
import { seededRandom } from '../../bin/client-check/waiting.ts';

const firstNumbers = (seed: number): number[] => {
  const random = seededRandom(seed);
  return Array.from({ length: 100 }, () => random());
};

test('the same seed gives the same plan, and another seed another', () => {
  expect(firstNumbers(7)).toEqual(firstNumbers(7));
  expect(firstNumbers(8)).not.toEqual(firstNumbers(7));
  expect(firstNumbers(7).every((number) => number >= 0 && number < 1)).toBe(true);
  expect(new Set(firstNumbers(7)).size).toBe(100);
});
