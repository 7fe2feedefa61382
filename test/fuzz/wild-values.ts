import fc from 'fast-check';
import type { Json } from './lexicon-schema.ts';

/** A text in many of the sent values, which must not appear in any response. */
export const canary = 'Zq9xKestrelKestrel';

const injections: readonly string[] = [
  `'; DROP TABLE messages; --${canary}`,
  `" OR ""="${canary}`,
  `<script>${canary}</script>`,
  `\${jndi:ldap://${canary}}`,
  `../../../../etc/${canary}`,
  `%s%s%n${canary}`,
  `{{7*7}}${canary}`,
  `${canary}\r\nSet-Cookie: a=b`,
  `\u202e${canary}`,
  `$1::${canary}`,
  `\\x${canary}`,
  `E'\\000'${canary}`,
  `${canary}`.repeat(200),
  '\u0001\u0002\u001f\u007f',
  '\ufeff',
  '\ud83d\ude00'.repeat(50),
  'İ'.repeat(30),
  'a\u0300'.repeat(500),
];

/** Texts that a body or URL must not contain. */
const poison: readonly string[] = ['\0', `${canary}\0`, '\ud800', 'a\udfffb', '\udc00\ud800'];

const prototypeKeys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '$type', '$bytes', ''];

const numbers: readonly number[] = [
  0,
  -0,
  -1,
  1.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  2 ** 64,
  1e21,
  1e300,
  -1e308,
  5e-324,
];

const surrogates = { from: 0xd800, count: 0x800 };

/** Every code point but surrogates. The unit `binary` of fast-check is the same and takes a second to prepare. */
const codePoint = fc.nat(0x10ffff - surrogates.count).map(
  (index) => String.fromCodePoint(index < surrogates.from ? index : index + surrogates.count),
  (text) => {
    const point = typeof text === 'string' ? text.codePointAt(0) : undefined;
    if (point === undefined || String.fromCodePoint(point) !== text) throw new TypeError('not a code point');
    if (point >= surrogates.from && point < surrogates.from + surrogates.count) throw new TypeError('a surrogate');
    return point < surrogates.from ? point : point - surrogates.count;
  },
);

const leaf: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false),
  fc.constantFrom(...numbers),
  fc.constantFrom(...injections, ...poison),
  fc.string({ unit: codePoint, maxLength: 20 }),
);

/** Any JSON, also with keys that have a meaning in JavaScript's prototypes. */
export const wildJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...prototypeKeys), fc.string({ maxLength: 8 })), tie('value')), {
        maxLength: 4,
      })
      .map((entries) => objectOf(entries)),
  ),
})).value;

/** Uses `Object.fromEntries`, which makes own properties of all keys, also of `__proto__`. */
function objectOf(entries: readonly (readonly [string, Json])[]): Json {
  return Object.fromEntries(entries);
}

/** Texts that often cause errors in parsers. */
export const wildText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...injections),
  fc.string({ unit: codePoint, maxLength: 40 }),
);

/** Whole JSON numbers that are too large for some programs. */
export const wildNumber: fc.Arbitrary<number> = fc.constantFrom(...numbers);

const nested = (depth: number, [open, close]: readonly [string, string]): string =>
  open.repeat(depth) + close.repeat(depth);

/** Bodies that are not valid input: malformed, deeply nested, broad, repeated, in another encoding. */
export const rawBodies: readonly (string | Buffer)[] = [
  '',
  ' ',
  '{',
  '{"a":1',
  '{"a":1}x',
  '{"a":1,}',
  "{'a':1}",
  '{"a":NaN}',
  '{"a":Infinity}',
  '{"a":01}',
  '{"a":1e999}',
  '{"a":"\u0000"}',
  '{"a":"\\u0000"}',
  '{"a":"\\ud800"}',
  '{"a":"\\x41"}',
  '/* c */{}',
  '\ufeff{}',
  'null',
  '"text"',
  '[]',
  '5',
  'true',
  `{"__proto__":{"convoId":"${canary}"}}`,
  `{"constructor":{"prototype":{"convoId":"${canary}"}}}`,
  `{"\\u005f_proto__":{"a":1}}`,
  nested(40, ['[', ']']),
  nested(60_000, ['[', ']']),
  nested(30_000, ['{"a":', '}']),
  `[${'0,'.repeat(25_000)}0]`,
  `{"a":"${'\\'.repeat(2_001)}"}`,
  `{"a":${'9'.repeat(20_000)}}`,
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  Buffer.from('{"a":1}', 'utf16le'),
  Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80]), Buffer.from('"}')]),
  Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00]),
];

/** Query strings that no client sends. */
export const rawSearches: readonly string[] = [
  '?',
  '?&&&&',
  '?=',
  '?%',
  '?%00=%00',
  '?convoId=%00',
  '?convoId=%ff%fe',
  '?convoId=%C0%80',
  '?convoId=%ED%A0%80',
  '?__proto__=1&constructor=2&prototype=3',
  '?__proto__[convoId]=1',
  '?convoId[]=1&convoId[0]=2',
  `?convoId=${canary}%27%20OR%201=1--`,
  `?limit=1&limit=2&limit=${canary}`,
  `?cursor=${canary}`,
  `?${'a=1&'.repeat(2_000)}`,
  `?dids=${'did:plc:a,'.repeat(900)}`,
  `?convoId=${'a'.repeat(12_000)}`,
  '?limit=99999999999999999999999',
  '?limit=-0&sinceSeq=9007199254740993&fromEpoch=18446744073709551616&toEpoch=1',
  '?since=275760-09-13T00:00:00.001Z',
  '?convoId=%EF%BF%BD',
  '?convoId=a;b=c',
  '?did=did:web:localhost%253A1',
];
