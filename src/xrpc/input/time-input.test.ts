import { expect, test } from 'vitest';
import { inputTimeMs } from './time-input.ts';

test('a datetime that the lexicon accepts and JavaScript cannot parse is refused', () => {
  for (const text of ['20260101T000000Z', '2026-01-01T00:00:60Z', '2026-01-01T00:00:00,5Z'])
    expect(() => inputTimeMs(text), text).toThrow(expect.objectContaining({ code: 'InvalidRequest' }));
});

test('a datetime without a zone is UTC in every time zone of the server, and one before 1970 becomes 1970', () => {
  expect(inputTimeMs('2026-01-01T00:00:00')).toBe(Date.UTC(2026, 0, 1));
  expect(inputTimeMs('2026-01-01T02:00:00+0200')).toBe(Date.UTC(2026, 0, 1));
  expect(inputTimeMs('0000-01-01T00:00:00Z')).toBe(0);
  expect(inputTimeMs(undefined)).toBeUndefined();
});
