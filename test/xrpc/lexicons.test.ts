import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { domainErrors } from '#domain/domain-error.ts';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { statuses } from '#xrpc/response/statuses.ts';
import { declaredErrors, isNeverSent } from '../contract/declared-errors.ts';
import { neverSent } from '../contract/never-sent.ts';

/** Has no HTTP status, because it ends an open stream. */
const inFramesOnly = 'ConsumerTooSlow';

const folder = join(import.meta.dirname, '../../lexicons');

test('the path of a lexicon is its name', async () => {
  const paths = (await readdir(folder, { recursive: true })).filter((path) => path.endsWith('.json'));
  expect(paths.length).toBeGreaterThan(20);
  for (const path of paths) {
    const { id } = JSON.parse(await readFile(join(folder, path), 'utf8'));
    // "message.defs" keeps its dot, because the folder has one file for each name below blue.catbird.mls.
    expect(`blue.catbird.mls.${path.slice('blue/catbird/mls/'.length, -'.json'.length)}`).toBe(id);
  }
});

const nameIn = (pair: string): string => pair.slice(pair.indexOf('.') + 1);

test('every error name that a method declares has a status, or a reason why it is never sent', () => {
  const known = new Set([...Object.keys(statuses), inFramesOnly]);
  expect(declaredErrors().filter((pair) => !known.has(nameIn(pair)) && !isNeverSent(pair, neverSent))).toEqual([]);
});

test('every error of the domain is declared by a method', () => {
  const names = new Set(declaredErrors().map(nameIn));
  expect(Object.keys(domainErrors).filter((name) => !names.has(name))).toEqual([]);
});

test('no general error has the name of an error of the domain', () => {
  expect(Object.keys(generalErrors).filter((name) => name in domainErrors)).toEqual([]);
});
