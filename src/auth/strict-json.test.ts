import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStrictJsonObject } from './strict-json.ts';

const parse = (text: string): unknown => parseStrictJsonObject(Buffer.from(text));

test('an object is parsed to the same value as by JSON.parse', () => {
  const key = fc.string().filter((text) => !['__proto__', 'constructor', 'prototype'].includes(text));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    value: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue({ maxDepth: 0 }),
      fc.array(tie('value'), { maxLength: 3 }),
      tie('tree'),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.boolean(), (value, isIndented) => {
      const text = JSON.stringify(value, null, isIndented ? 2 : 0);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});

test.for([
  '{"a":1,"a":1}',
  '{"a":1,"\\u0061":2}',
  '{"o":{"b":1,"b":2}}',
  '{"l":[{"c":1},{"c":1,"c":2}]}',
  '{"__proto__":{}}',
  '{"a":{"constructor":1}}',
  '{"\\u005f_proto__":1}',
  '{"prototype":null}',
  '[]',
  '[{}]',
  'null',
  '"text"',
  '1',
  '',
  ' ',
  '{',
  '{}{}',
  '\ufeff{}',
  "{'a':1}",
  '{"a":1,}',
  '{"a":NaN}',
  '{a:1}',
])('%j is refused', (text) => {
  expect(parse(text)).toBeUndefined();
});

test('bytes that are not UTF-8 are refused', () => {
  expect(parseStrictJsonObject(Buffer.from('{"a":"\xff"}', 'latin1'))).toBeUndefined();
  expect(parseStrictJsonObject(Buffer.from([0xed, 0xa0, 0x80]))).toBeUndefined();
});

test('equal keys in different objects and strings that resemble keys are accepted', () => {
  const text = '{"a":{"a":"a"},"b":[{"a":1},{"a":2}],"c":"\\"a\\":{","d":"x:y"}';
  expect(parse(text)).toEqual(JSON.parse(text));
});
