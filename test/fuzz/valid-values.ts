import fc from 'fast-check';
import type { FieldSchema, Json, ListSchema, ObjectSchema, TextSchema, WholeSchema } from './lexicon-schema.ts';

/** Values that exist on the server, so that generated input refers to existing data. */
export interface Pool {
  /** People with accounts. */
  readonly dids: readonly string[];
  /** Existing values for the field of that name. */
  readonly fields: Readonly<Record<string, readonly Json[]>>;
}

/** Limits of generated values, because the largest real blob is 1 MB and a list of 1,000 people is 70 kB. */
const bytesMax = 4_096;
const itemsMax = 8;
const textMax = 60;

/** Text that JSON, URLs and Postgres can represent: without NUL and without unpaired surrogates. */
const plainText = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme', maxLength }).map((text) => text.replaceAll('\0', '').replaceAll('\ufffd', ''));

const plcDid = fc
  .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'.split('')), { minLength: 24, maxLength: 24 })
  .map((letters) => `did:plc:${letters.join('')}`);
const hex = (sizeBytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: sizeBytes, maxLength: sizeBytes }).map((bytes) => Buffer.from(bytes).toString('hex'));
const base64 = (sizeBytesMax: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength: sizeBytesMax }).map((bytes) => Buffer.from(bytes).toString('base64'));

/** Valid datetimes with unusual forms: leap days, distant years, offsets, fractions of any length. */
const datetimes = fc.oneof(
  fc
    .date({ min: new Date('2020-01-01'), max: new Date('2035-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString()),
  fc.constantFrom(
    '0001-01-01T00:00:00Z',
    '1969-12-31T23:59:59.999Z',
    '2024-02-29T12:00:00+14:00',
    '2026-01-01T00:00:00.123456789Z',
    '2026-12-31T23:59:59-11:30',
    '9999-12-31T23:59:59.999Z',
  ),
);

const freeText = fc.oneof(
  plainText(textMax),
  hex(16),
  hex(32),
  base64(200),
  fc.uuid(),
  fc.constantFrom('0', 'null', '-1', 'persistent', 'x'),
);

/** Generates a valid value of `schema` for the field `name`. */
export function validValue(schema: FieldSchema, name: string, pool: Pool): fc.Arbitrary<Json> {
  const known = (pool.fields[name] ?? []).filter((value) => fitsType(schema, value));
  const made = madeUp(schema, name, pool);
  return known.length === 0
    ? made
    : fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: made });
}

function madeUp(schema: FieldSchema, name: string, pool: Pool): fc.Arbitrary<Json> {
  switch (schema.type) {
    case 'string':
      return validText(schema, pool);
    case 'integer':
      return validWhole(schema);
    case 'boolean':
      return fc.boolean();
    case 'bytes': {
      const maxLength = Math.min(schema.maxLength ?? bytesMax, bytesMax);
      return fc
        .uint8Array({ minLength: schema.minLength ?? 0, maxLength })
        .map((content) => ({ $bytes: Buffer.from(content).toString('base64') }));
    }
    case 'array':
      return validList(schema, name, pool);
    case 'object':
      return validObject(schema, pool);
  }
}

/** Generates a valid object; each optional field is present in two of three objects. */
export function validObject(schema: ObjectSchema, pool: Pool): fc.Arbitrary<Record<string, Json>> {
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const value = validValue(field, name, pool);
    return fc.tuple(
      fc.constant(name),
      schema.required.includes(name) ? value.map(present) : fc.option(value.map(present), { freq: 3, nil: [] }),
    );
  });
  return fc
    .tuple(...fields)
    .map((entries) =>
      Object.fromEntries(entries.flatMap(([name, value]) => value.map((item): [string, Json] => [name, item]))),
    );
}

const present = (value: Json): Json[] => [value];

function validList(schema: ListSchema, name: string, pool: Pool): fc.Arbitrary<Json> {
  const minLength = schema.minLength ?? 0;
  const maxLength = Math.max(minLength, Math.min(schema.maxLength ?? itemsMax, itemsMax));
  return fc.array(validValue(schema.items, name, pool), { minLength, maxLength });
}

function validWhole(schema: WholeSchema): fc.Arbitrary<number> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  const min = schema.minimum ?? Number.MIN_SAFE_INTEGER;
  const max = schema.maximum ?? Number.MAX_SAFE_INTEGER;
  const small = fc.integer({ min: Math.max(min, -3), max: Math.max(min, Math.min(max, 2_000)) });
  return fc.oneof({ weight: 3, arbitrary: small }, { weight: 1, arbitrary: fc.maxSafeInteger() }).map((value) => {
    return Math.min(max, Math.max(min, value));
  });
}

function validText(schema: TextSchema, pool: Pool): fc.Arbitrary<string> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.format !== undefined) return formatted(schema.format, pool);
  const maxBytes = Math.min(schema.maxLength ?? Infinity, schema.maxGraphemes ?? Infinity);
  const free = freeText.map((value) => withinBytes(value, maxBytes)).map((value) => atLeast(value, schema));
  return schema.knownValues === undefined ? free : fc.oneof(fc.constantFrom(...schema.knownValues), free);
}

function formatted(format: string, pool: Pool): fc.Arbitrary<string> {
  const did =
    pool.dids.length === 0
      ? plcDid
      : fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...pool.dids) }, { weight: 1, arbitrary: plcDid });
  switch (format) {
    case 'did':
      return did;
    case 'datetime':
      return datetimes;
    case 'at-uri':
      return fc
        .tuple(did, fc.constantFrom('app.bsky.graph.block', 'app.bsky.feed.post'), hex(6))
        .map(([author, collection, key]) => `at://${author}/${collection}/${key}`);
    case 'uri':
      return fc.webUrl();
    default:
      throw new Error(`the generators do not support the format ${format}; add it to them`);
  }
}

function withinBytes(value: string, maxBytes: number): string {
  let shown = value;
  while (Buffer.byteLength(shown) > maxBytes)
    shown = shown
      .slice(0, -1)
      .toWellFormed()
      .replace(/\ufffd$/, '');
  return shown;
}

function atLeast(value: string, { minLength = 0 }: TextSchema): string {
  return Buffer.byteLength(value) < minLength ? value + 'm'.repeat(minLength) : value;
}

function fitsType(schema: FieldSchema, value: Json): boolean {
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return typeof value === schema.type;
    case 'integer':
      return Number.isSafeInteger(value);
    case 'bytes':
      return typeof value === 'object' && value !== null && '$bytes' in value;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
  }
}
