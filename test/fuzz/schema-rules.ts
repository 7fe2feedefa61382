import fc from 'fast-check';
import type { FieldSchema, Json, JsonObject, ListSchema, ObjectSchema, TextSchema } from './lexicon-schema.ts';
import { validValue } from './valid-values.ts';
import type { Pool } from './valid-values.ts';

export type Path = readonly (string | number)[];
/** The replacement at a path of an otherwise valid input: another value, or the removal of the field. */
export type Replacement = { readonly value: Json } | 'removed';

/** One rule of a method's schema, with values that break only this rule, that are at its limit, or that the format leaves open. */
export interface SchemaRule {
  readonly rule: string;
  readonly path: Path;
  readonly outcome: 'breaks' | 'fits' | 'unspecified';
  readonly replacement: fc.Arbitrary<Replacement>;
}

/** Where the input is in the request. Parameters are text, and a list of them cannot have empty items. */
export type Carrier = 'body' | 'params';

interface Place {
  readonly carrier: Carrier;
  readonly pool: Pool;
}

/** Larger limits have tests of their own, because each case would need megabytes. */
const testedLengthMax = 1_100_000;

/** Returns every rule of `schema` with values that break it and, for limits, values that are at the limit. */
export function rulesOf(schema: ObjectSchema, place: Place): SchemaRule[] {
  const whole = place.carrier === 'body' ? typeRules(schema, [], place) : [];
  return [...whole, ...fieldsOf(schema, [], place)];
}

function fieldsOf(schema: ObjectSchema, path: Path, place: Place): SchemaRule[] {
  return Object.entries(schema.properties).flatMap(([name, field]) => {
    const at = [...path, name];
    const missing: SchemaRule[] = schema.required.includes(name)
      ? [{ rule: 'required', path: at, outcome: 'breaks', replacement: fc.constant('removed') }]
      : [];
    return [...missing, ...rulesAt(field, at, place)];
  });
}

function rulesAt(schema: FieldSchema, path: Path, place: Place): SchemaRule[] {
  const own = typeRules(schema, path, place);
  switch (schema.type) {
    case 'string':
      return [...own, ...textRules(schema, path, place)];
    case 'integer': {
      const { minimum, maximum, const: only } = schema;
      return [
        ...own,
        ...(minimum === undefined ? [] : limit('minimum', path, [minimum, minimum - 1])),
        ...(maximum === undefined ? [] : limit('maximum', path, [maximum, maximum + 1])),
        ...(only === undefined ? [] : limit('const', path, [only, only + 1])),
      ];
    }
    case 'bytes':
      return [
        ...own,
        ...lengthRules(schema, path, (length) => ({ $bytes: Buffer.alloc(length, 7).toString('base64') })),
      ];
    case 'array':
      return [...own, ...listRules(schema, path, place)];
    case 'object':
      return [...own, ...fieldsOf(schema, path, place)];
    case 'boolean':
      return own;
  }
}

function limit(rule: string, path: Path, [fits, breaks]: readonly [Json, Json]): SchemaRule[] {
  return [
    { rule, path, outcome: 'fits', replacement: fc.constant({ value: fits }) },
    { rule, path, outcome: 'breaks', replacement: fc.constant({ value: breaks }) },
  ];
}

function lengthRules(
  { minLength, maxLength }: { readonly minLength?: number | undefined; readonly maxLength?: number | undefined },
  path: Path,
  make: (length: number) => Json,
): SchemaRule[] {
  return [
    ...(minLength === undefined || minLength === 0
      ? []
      : limit('minLength', path, [make(minLength), make(minLength - 1)])),
    ...(maxLength === undefined || maxLength > testedLengthMax
      ? []
      : limit('maxLength', path, [make(maxLength), make(maxLength + 1)])),
  ];
}

function textRules(schema: TextSchema, path: Path, { carrier }: Place): SchemaRule[] {
  const { maxLength = Infinity, maxGraphemes } = schema;
  const rules = lengthRules(schema, path, (length) => 'a'.repeat(length));
  // Limits count bytes of UTF-8, not characters.
  if (maxLength < testedLengthMax) rules.push(...limit('maxLength in bytes', path, wideTexts(maxLength)));
  if (maxGraphemes !== undefined)
    rules.push(...limit('maxGraphemes', path, ['é'.repeat(maxGraphemes), 'é'.repeat(maxGraphemes + 1)]));
  if (schema.enum !== undefined) rules.push(broken('enum', path, ['no-such-word', `${schema.enum[0] ?? ''} `, 'SPAM']));
  if (schema.format !== undefined) {
    const texts = misformatted[schema.format];
    if (schema.format === 'datetime') rules.push({ ...broken('format', path, oddDatetimes), outcome: 'unspecified' });
    if (texts === undefined) throw new Error(`there are no malformed texts for the format ${schema.format}`);
    // An empty parameter counts as absent.
    rules.push(broken('format', path, carrier === 'params' ? texts.filter((text) => text !== '') : texts));
  }
  return rules;
}

function wideTexts(maxLength: number): [string, string] {
  const wide = 'é'.repeat(Math.floor(maxLength / 2));
  return [wide, `${wide}é`];
}

/** ISO 8601 texts outside the lexicon format; the service may accept or refuse them. */
const oddDatetimes = [
  '20260101T000000Z',
  '2026-01-01T00:00:60Z',
  '2026-01-01T00:00:00',
  '2026-01-01T24:00:00Z',
  '2026-01-01T00:00:00,5Z',
  '2026-02-30T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '2026-01-01T00:00:00+99:00',
  '+275760-09-13T00:00:00.001Z',
];

function broken(rule: string, path: Path, values: readonly Json[]): SchemaRule {
  return { rule, path, outcome: 'breaks', replacement: fc.constantFrom(...values).map((value) => ({ value })) };
}

const misformatted: Readonly<Record<string, readonly string[]>> = {
  did: [
    '',
    'did:',
    'did:plc',
    'did:plc:',
    'plc:abcdefghijklmnopqrstuvwx',
    'DID:plc:abcdefghijklmnopqrstuvwx',
    'did:PLC:abcdefghijklmnopqrstuvwx',
    'did:plc:with space',
    'did:plc:ends:',
    'did:plc:ends%',
    'did:plc:abc#fragment',
    'did:plc:abc/path',
    'did:plc:abc\n',
    ' did:plc:abcdefghijklmnopqrstuvwx',
    'did:plc:zażółć',
    '@alice.example.com',
    "did:plc:' OR 1=1 --",
    `did:plc:${'a'.repeat(2_100)}`,
  ],
  datetime: [
    '',
    'yesterday',
    '1767225600',
    '2026',
    '2026-13-01T00:00:00Z',
    '2026-01-32T00:00:00Z',
    '2026-01-01T25:00:00Z',
    '2026-01-01T00:61:00Z',
    '2026-01-01 00:00:00',
    '2026-01-01T00:00:00Z; DROP TABLE messages',
    'Thu, 01 Jan 2026 00:00:00 GMT',
    '١٩٨٥-04-12T23:20:50Z',
  ],
  'at-uri': [
    '',
    'at://',
    'https://example.com/',
    'did:plc:abcdefghijklmnopqrstuvwx',
    'at:/did:plc:abcdefghijklmnopqrstuvwx',
    'at://did:plc:abcdefghijklmnopqrstuvwx/not a collection/x',
    `at://did:plc:${'a'.repeat(9_000)}/app.bsky.graph.block/x`,
  ],
  uri: ['', 'no scheme', '://', 'http://'],
};

function listRules(schema: ListSchema, path: Path, place: Place): SchemaRule[] {
  const item = validValue(schema.items, String(path.at(-1)), place.pool);
  const many = (length: number): fc.Arbitrary<Replacement> =>
    // The items repeat, because only their number matters.
    fc.array(item, { minLength: 1, maxLength: 3 }).map((some) => ({ value: repeated(some, length) }));
  const { minLength = 0, maxLength } = schema;
  const rules: SchemaRule[] = [];
  if (minLength > 0) {
    rules.push({ rule: 'minLength', path, outcome: 'fits', replacement: many(minLength) });
    rules.push({ rule: 'minLength', path, outcome: 'breaks', replacement: many(minLength - 1) });
  }
  if (maxLength !== undefined && maxLength <= testedLengthMax) {
    rules.push({ rule: 'maxLength', path, outcome: 'fits', replacement: many(maxLength) });
    rules.push({ rule: 'maxLength', path, outcome: 'breaks', replacement: many(maxLength + 1) });
  }
  return [...rules, ...rulesAt(schema.items, [...path, 0], place)];
}

function repeated(some: readonly Json[], length: number): Json[] {
  return Array.from({ length }, (_, index) => some[index % some.length] ?? null);
}

const strange: readonly Json[] = [null, true, 5, 1.5, 'text', [], {}, [null], { length: 1 }, { $bytes: 'AAAA' }, [[]]];

function typeRules(schema: FieldSchema, path: Path, { carrier }: Place): SchemaRule[] {
  const values = carrier === 'body' ? wrongInBody(schema) : wrongInParams(schema, path);
  return values.length === 0 ? [] : [broken('type', path, values)];
}

/** Values of every other type, and values that resemble the right type. */
function wrongInBody({ type }: FieldSchema): Json[] {
  switch (type) {
    case 'string':
      return strange.filter((value) => typeof value !== 'string');
    case 'integer':
      return [...strange.filter((value) => value !== 5), '5', -0.5, 1e-7];
    case 'boolean':
      return [...strange.filter((value) => value !== true), 'true', 'false', 0, 1];
    case 'bytes':
      return [
        ...strange.filter((value) => JSON.stringify(value) !== '{"$bytes":"AAAA"}'),
        'AAAA',
        { $bytes: 5 },
        { $bytes: null },
        { $bytes: 'A' },
        { $bytes: 'no base64!' },
        { $bytes: 'AAAA', more: 1 },
        { $link: 'bafyreib2rxk3rh6kzwq' },
      ];
    case 'array':
      // Lists with wrong items are tested by the rules of the items.
      return strange.filter((value) => !Array.isArray(value));
    case 'object':
      return [null, true, 5, 'text', [], [{}], { $bytes: 'AAAA' }];
  }
}

/** Wrong parameters: a scalar given twice is a list, and numbers and booleans have only one valid spelling. */
function wrongInParams({ type }: FieldSchema, path: Path): Json[] {
  const isItem = typeof path.at(-1) === 'number';
  const twice: Json[] = isItem ? [] : [['a', 'a']];
  switch (type) {
    case 'integer':
      return [...twice, 'abc', '1.5', '1e3', '0x10', ' 5', '--1', '٣', 'NaN', 'Infinity', '1_000'];
    case 'boolean':
      return [...twice, 'TRUE', '1', 'yes', 'true ', 'null'];
    case 'string':
      return twice;
    case 'array':
    case 'bytes':
    case 'object':
      return [];
  }
}

/** Returns `input` with `replacement` at `path`; missing parents on the path come from `filler`. */
export function replaceAt(input: Json, path: Path, replacement: Replacement, filler: (path: Path) => Json): Json {
  return place(input, path, { replacement, filler, done: [] });
}

interface Progress {
  readonly replacement: Replacement;
  readonly filler: (path: Path) => Json;
  readonly done: Path;
}

function place(input: Json, path: Path, progress: Progress): Json {
  const { replacement, filler, done } = progress;
  const [key, ...rest] = path;
  if (key === undefined) return replacement === 'removed' ? null : replacement.value;
  const next = { ...progress, done: [...done, key] };
  if (typeof key === 'number') {
    const items = isList(input) ? input : [filler(next.done)];
    return items.map((item, index) => (index === key ? place(item, rest, next) : item));
  }
  const { [key]: old, ...others } = isFields(input) ? input : {};
  if (rest.length === 0 && replacement === 'removed') return others;
  return { ...others, [key]: place(old ?? (rest.length === 0 ? null : filler(next.done)), rest, next) };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value) && value.length > 0;
}

function isFields(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
