import { expect, test } from 'vitest';
import { drawBars } from '../../bench/report/bar-plot.ts';
import { namedFigures, valuesOf } from '../../bench/report/named-figures.ts';
import { measurementNames } from '../../bench/run-rounds.ts';
import type { WorkloadFigures } from '../../bench/run-rounds.ts';
import { median, percentiles } from '../../bench/load/latencies.ts';
import { workloads } from '../../bench/workloads/workloads.ts';

test('a median of an even number of values is the mean of the middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([5, 1, 3])).toBe(3);
});

test('percentiles do not depend on the order of the values', () => {
  const valuesMs = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentiles(valuesMs)).toEqual({ p50Ms: 51, p99Ms: 100 });
});

test('every named figure divides measured workloads, and each name occurs once', () => {
  const known = workloads.map(({ name }) => name);
  expect(known).toEqual([...new Set(known)]);
  for (const { of, dividedBy } of namedFigures) expect(known).toEqual(expect.arrayContaining([of[0], dividedBy[0]]));
});

test('a named figure is the quotient of the medians of two workloads', () => {
  const sends = figuresOf('sends', 30);
  expect(valuesOf([sends, figuresOf('bare-writes', 60)])).toEqual({ send_ratio: 0.5 });
  expect(valuesOf([sends])).toEqual({});
});

test('a plot escapes its labels', () => {
  const bars = [{ label: 'a < "b"', value: 1, low: 0.5, high: 2 }];
  const drawn = drawBars({ title: 'x & y', bars, marks: [1], format: String });
  expect(drawn).toContain('a &lt; &quot;b&quot;');
  expect(drawn).toContain('x &amp; y');
});

function figuresOf(name: string, perSecond: number): WorkloadFigures {
  const spread = { median: perSecond, low: perSecond, high: perSecond };
  const current = Object.fromEntries(measurementNames.map((each) => [each, spread])) as WorkloadFigures['current'];
  return { name, title: name, unit: 'operation', rounds: 1, current };
}
