import { expect, test } from 'vitest';
import { AppError } from './errors.ts';
import { isTransientError } from './transient-error.ts';

const failure = (code: string, cause?: unknown): Error => Object.assign(new Error('words', { cause }), { code });

test.for([
  ['55P03', 'a lock was not free in time'],
  ['57014', 'the statement took too long'],
  ['53300', 'too many connections'],
  ['53100', 'the disk is full'],
  ['57P01', 'the administrator stops the server'],
  ['57P02', 'the server crashed'],
  ['57P03', 'the server is starting'],
  ['40001', 'a serialization failure'],
  ['40P01', 'a deadlock'],
  ['08006', 'the connection broke'],
  ['25006', 'a standby took over'],
  ['ECONNREFUSED', 'nothing listens'],
  ['CONNECTION_CLOSED', 'postgres.js lost the connection'],
  ['CONNECT_TIMEOUT', 'postgres.js could not connect'],
] as const)('%s is transient: %s', ([code]) => {
  expect(isTransientError(failure(code))).toBe(true);
  expect(isTransientError(failure('other', failure(code)))).toBe(true);
  expect(isTransientError(new AggregateError([failure(code)]))).toBe(true);
});

test.for(['23505', '42601', '22021', 'XX000', 'ERR_INVALID_ARG_TYPE', '4000', '57P99'])(
  '%s is not transient',
  (code) => {
    expect(isTransientError(failure(code))).toBe(false);
  },
);

test('an error without a code is not transient', () => {
  expect(
    [new Error('x'), new AppError('NotFound', 'x'), undefined, '55P03', { code: '55P03' }].map(isTransientError),
  ).toEqual([false, false, false, false, false]);
});
