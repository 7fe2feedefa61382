import { ciphersuites } from 'ts-mls';
import { expect, it } from 'vitest';

import { cipherSuite, cipherSuiteName, cipherSuiteNumber } from './cipher-suites.ts';

it('agrees with RFC 9420 and ts-mls on every suite number', () => {
  for (const [name, number] of Object.entries(ciphersuites)) expect(cipherSuiteNumber(name), name).toBe(number);
});

it('names every number except 77 as ts-mls does, and 77 as the lexicon does', () => {
  for (const [name, number] of Object.entries(ciphersuites)) {
    expect(cipherSuiteName(number)).toBe(number === 77 ? 'MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519' : name);
  }
});

it('returns undefined for other names and numbers', () => {
  expect(cipherSuiteNumber('MLS_NONE')).toBeUndefined();
  expect(cipherSuiteNumber('toString')).toBeUndefined();
  expect(cipherSuiteName(0)).toBeUndefined();
  expect(cipherSuite(8)).toBeUndefined();
});
