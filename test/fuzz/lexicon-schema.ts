import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Any JSON value; bytes are `{ $bytes: base64 }` as on the wire. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

/** The schema types of this file are read from the lexicon files, so that a rule missing in the generated validators is still tested. */
interface Described {
  readonly minLength?: number | undefined;
  readonly maxLength?: number | undefined;
}
export interface TextSchema extends Described {
  readonly type: 'string';
  readonly format?: string | undefined;
  readonly enum?: readonly string[] | undefined;
  readonly knownValues?: readonly string[] | undefined;
  readonly maxGraphemes?: number | undefined;
}
export interface WholeSchema {
  readonly type: 'integer';
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly const?: number | undefined;
}
export interface BooleanSchema {
  readonly type: 'boolean';
}
export interface BytesSchema extends Described {
  readonly type: 'bytes';
}
export interface ListSchema extends Described {
  readonly type: 'array';
  readonly items: FieldSchema;
}
export interface ObjectSchema {
  readonly type: 'object';
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, FieldSchema>>;
}
export type FieldSchema = TextSchema | WholeSchema | BooleanSchema | BytesSchema | ListSchema | ObjectSchema;

/** A method with the schema of its input and its declared errors. */
export interface FuzzMethod {
  readonly name: string;
  readonly nsid: string;
  readonly kind: 'query' | 'procedure' | 'eventStream' | 'subscription';
  /** Parameters of a query, body of a procedure; refs are resolved. Undefined for a procedure without a body. */
  readonly input: ObjectSchema | undefined;
  readonly errors: readonly string[];
}

const rawObject = z.looseObject({});
const lexicon = z.object({
  id: z.string(),
  defs: z.record(z.string(), rawObject),
});
const main = z.object({
  type: z.enum(['query', 'procedure', 'subscription']),
  parameters: rawObject.optional(),
  input: z.object({ schema: rawObject.optional() }).optional(),
  output: z.object({ encoding: z.string() }).optional(),
  errors: z.array(z.object({ name: z.string() })).default([]),
});
const bounds = { minLength: z.number().optional(), maxLength: z.number().optional() };
const words = z.array(z.string()).optional();
const text = z.object({
  type: z.literal('string'),
  format: z.string().optional(),
  enum: words,
  knownValues: words,
  maxGraphemes: z.number().optional(),
  ...bounds,
});
const whole = z.object({
  type: z.literal('integer'),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  const: z.number().optional(),
});
const bytes = z.object({ type: z.literal('bytes'), ...bounds });
const list = z.object({ type: z.literal('array'), items: rawObject, ...bounds });
const object = z.object({
  type: z.enum(['object', 'params']),
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), rawObject).default({}),
});

type Lexicons = ReadonlyMap<string, z.infer<typeof lexicon>>;

/** Reads every method from the lexicon files in `folder`. */
export function readMethods(folder: string): FuzzMethod[] {
  const all = readdirSync(folder).map((file) => lexicon.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))));
  const lexicons = new Map(all.map((each) => [each.id, each]));
  return all.flatMap(({ id, defs }) => (defs['main'] === undefined ? [] : [methodOf(lexicons, id, defs['main'])]));
}

/** Returns the method that a lexicon's `main` describes. */
export function methodOf(lexicons: Lexicons, nsid: string, definition: unknown): FuzzMethod {
  const { type, parameters, input, output, errors } = main.parse(definition);
  const described = type === 'procedure' ? input?.schema : (parameters ?? { type: 'params' });
  const resolved = described === undefined ? undefined : resolve(lexicons, nsid, described);
  if (resolved !== undefined && resolved.type !== 'object') throw new Error(`${nsid}: the input is no object`);
  return {
    name: nsid.slice(nsid.lastIndexOf('.') + 1),
    nsid,
    kind: output?.encoding === 'text/event-stream' ? 'eventStream' : type,
    input: resolved,
    errors: errors.map(({ name }) => name),
  };
}

function resolve(lexicons: Lexicons, nsid: string, schema: Readonly<Record<string, unknown>>): FieldSchema {
  switch (schema['type']) {
    case 'string':
      return text.parse(schema);
    case 'integer':
      return whole.parse(schema);
    case 'boolean':
      return { type: 'boolean' };
    case 'bytes':
      return bytes.parse(schema);
    case 'array': {
      const { items, ...rest } = list.parse(schema);
      return { ...rest, items: resolve(lexicons, nsid, items) };
    }
    case 'object':
    case 'params': {
      const { required, properties } = object.parse(schema);
      const resolved = Object.entries(properties).map(([name, field]) => [name, resolve(lexicons, nsid, field)]);
      return { type: 'object', required, properties: Object.fromEntries(resolved) as Record<string, FieldSchema> };
    }
    case 'ref':
      return referred(lexicons, nsid, String(schema['ref']));
    default:
      throw new Error(`${nsid}: the generators do not support the type ${String(schema['type'])}; add it to them`);
  }
}

function referred(lexicons: Lexicons, nsid: string, ref: string): FieldSchema {
  const [id = '', name = 'main'] = ref.split('#');
  const home = id === '' ? nsid : id;
  const definition = lexicons.get(home)?.defs[name];
  if (definition === undefined) throw new Error(`${nsid}: ${ref} refers to no definition`);
  return resolve(lexicons, home, definition);
}
