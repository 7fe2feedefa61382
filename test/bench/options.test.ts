import { expect, test } from 'vitest';
import { parseOptions } from '../../bench/options.ts';

test('--set gives the server of this tree settings, also with an equals sign in a value', () => {
  const { settings } = parseOptions({ set: 'SERVER_COUNT=2,DATABASE_URL=postgres://host/name?prepare=false' });
  expect(settings).toEqual({ SERVER_COUNT: '2', DATABASE_URL: 'postgres://host/name?prepare=false' });
  expect(parseOptions({}).settings).toEqual({});
});

test.each(['SERVER_COUNT', '=2', 'SERVER_COUNT=2,'])('--set %s is refused', (set) => {
  expect(() => parseOptions({ set })).toThrow('--set takes NAME=value');
});

test('an unknown workload and a number of rounds that is not whole are refused', () => {
  expect(() => parseOptions({ only: 'sends,nothing' })).toThrow('nothing is none of them');
  expect(() => parseOptions({ rounds: '1.5' })).toThrow('--rounds takes a whole number');
});
