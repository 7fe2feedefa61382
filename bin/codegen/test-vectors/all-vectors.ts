import { cursorVectors } from './cursor-vectors.ts';
import { frameVectors } from './frame-vectors.ts';
import { mlsVectors } from './mls-vectors.ts';
import { paddingVectors } from './padding-vectors.ts';
import { tokenVectors } from './token-vectors.ts';
import { vectorText } from './vector-file.ts';

/** The files of `docs/test-vectors` by name. */
export function testVectors(): ReadonlyMap<string, string> {
  return new Map([
    ['cursors.json', vectorText(cursorVectors())],
    ['frames.json', vectorText(frameVectors())],
    ['mls.json', vectorText(mlsVectors())],
    ['padding.json', vectorText(paddingVectors())],
    ['tokens.json', vectorText(tokenVectors())],
  ]);
}
