import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seenRefusals } from '../support/recorded-refusals.ts';
import { declaredErrors, isNeverSent, refusalProblems } from './declared-errors.ts';
import { neverSent } from './never-sent.ts';

// global-setup.ts checks at the end of a whole run that each pair was produced.

test('every error listed as never sent is declared', () => {
  const declared = declaredErrors();
  expect(declared.length).toBeGreaterThan(100);
  const stale = Object.keys(neverSent).filter((key) => !declared.some((pair) => isNeverSent(pair, { [key]: '' })));
  expect(stale).toEqual([]);
});

test('a pair that no test has produced, and a pair that is sent although listed as never sent, are reported', () => {
  const declared = ['getA.NotMember', 'getA.NotAdmin', 'getB.NotAdmin', 'getB.Unauthorized', 'getC.NotFound'];
  const listed = { 'getA.NotAdmin': 'x', Unauthorized: 'x', NotFound: 'x' };
  expect(refusalProblems(declared, new Set(['getA.NotMember', 'getB.Unauthorized']), listed)).toEqual([
    expect.stringMatching(/^getB\.NotAdmin: no test/),
    expect.stringMatching(/^getB\.Unauthorized: is sent/),
  ]);
});

test('the refusals recorded by several processes are all read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-refusals-'));
  const file = join(folder, 'seen');
  writeFileSync(file, 'getA.NotMember\ngetB.NotAdmin\ngetA.NotMember\n');
  expect([...seenRefusals(file)]).toEqual(expect.arrayContaining(['getA.NotMember', 'getB.NotAdmin']));
  rmSync(folder, { recursive: true });
});
