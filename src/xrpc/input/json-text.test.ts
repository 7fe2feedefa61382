import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeJson } from '#platform/encode-json.ts';
import { parseJson } from './json-text.ts';

const roomy = { depthMax: 1_000, valuesMax: 1_000_000, keyLengthMax: 1_000 };
const parse = (text: string, bounds = roomy): unknown => parseJson(Buffer.from(text), bounds);

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

const escapes = fc.constantFrom('\\', '"', '[', '{', '\\"', 'a', '\u00e9', '😀');
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.string({ unit: escapes }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: escapes }), tie('value'), { maxKeys: 4 }),
  ),
})).value;

test('the result equals that of JSON.parse up to the allowed depth, and deeper input is refused', () => {
  fc.assert(
    fc.property(value, (original) => {
      const text = JSON.stringify(original);
      const depth = depthOf(original);
      expect(parse(text, { ...roomy, depthMax: depth })).toEqual({ value: original });
      if (depth > 0) expect(parse(text, { ...roomy, depthMax: depth - 1 })).toEqual({ problem: 'tooDeep' });
    }),
  );
});

test('values are counted before they are parsed', () => {
  expect(parse('[1,2,3]', { ...roomy, valuesMax: 4 })).toEqual({ value: [1, 2, 3] });
  expect(parse('[1,2,3,4]', { ...roomy, valuesMax: 4 })).toEqual({ problem: 'tooManyValues' });
  expect(parse('[",,,,,,,,"]', { ...roomy, valuesMax: 4 })).toEqual({ value: [',,,,,,,,'] });
});

test('encoded bytes decode to the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(parse(encodeJson({ list: [bytes, Buffer.from(bytes)], absent: undefined }))).toEqual({
        value: { list: [Buffer.from(bytes), Buffer.from(bytes)] },
      });
    }),
  );
});

test('no input makes the parser throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      expect(() => parseJson(Buffer.from(bytes), roomy)).not.toThrow();
    }),
    { numRuns: 1_000 },
  );
});

test('an object with a repeated key is refused, also when the key is escaped', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), fc.string({ unit: escapes, minLength: 1 }), (others, key) => {
      const escapedKey = `"${escaped(key)}"`;
      const members = (second: string): string =>
        `{"k":${JSON.stringify(others)},${JSON.stringify(key)}:1,${second}:2}`;
      fc.pre(key !== 'k' && key !== 'other');
      expect(parse(members('"other"'))).toEqual({ value: { k: others, [key]: 1, other: 2 } });
      expect(parse(members(escapedKey))).toEqual({ problem: 'repeatedKey' });
    }),
  );
});

function escaped(text: string): string {
  return Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  );
}
