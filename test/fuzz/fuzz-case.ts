import fc from 'fast-check';
import type { FieldSchema, FuzzMethod, Json, JsonObject, ObjectSchema } from './lexicon-schema.ts';
import { replaceAt, rulesOf } from './schema-rules.ts';
import type { Carrier, Path, SchemaRule } from './schema-rules.ts';
import { validObject, validValue } from './valid-values.ts';
import type { Pool } from './valid-values.ts';
import { rawBodies, rawSearches, wildJson, wildNumber, wildText } from './wild-values.ts';

export type CaseKind = 'unchanged' | 'valid' | 'broken' | 'boundary' | 'swapped' | 'wild' | 'raw';

export interface FuzzRequest {
  readonly verb: 'GET' | 'POST';
  /** Empty, or with its question mark. */
  readonly search: string;
  readonly body: string | Buffer | undefined;
  readonly contentType: string | undefined;
}

/** One request, with the outcome that the schema requires. */
export interface FuzzCase {
  readonly kind: CaseKind;
  /** The rule that the case tests, for the report of a failure. */
  readonly about: string;
  /** `fits`: the lexicon check must accept it; `refused`: the service must refuse it. */
  readonly expected: 'fits' | 'refused' | 'anything';
  /** Absent if the request is not JSON. */
  readonly input: Json | undefined;
  readonly request: FuzzRequest;
}

/** A valid call about existing data, which the cases are variations of. */
export interface CaseBasis {
  readonly validInput: JsonObject;
  readonly pool: Pool;
}

/** A fifth of the cases is valid or almost valid, two fifths break one rule each, and the rest is arbitrary. */
const kindOrder = [
  ['unchanged', 'broken', 'wild', 'broken', 'boundary', 'broken', 'swapped', 'valid', 'broken', 'wild'],
  ['broken', 'valid', 'broken', 'swapped', 'broken', 'wild', 'boundary', 'broken', 'valid', 'raw'],
].flat() as readonly CaseKind[];

const expectations = { breaks: 'refused', fits: 'fits', unspecified: 'anything' } as const;
const nothing: ObjectSchema = { type: 'object', required: [], properties: {} };

/** Makes case after case for one method; the same seed and basis make the same cases. */
export class CaseMaker {
  readonly #method: FuzzMethod;
  readonly #schema: ObjectSchema;
  readonly #carrier: Carrier;
  readonly #basis: CaseBasis;
  readonly #seed: number;
  readonly #breaking: readonly SchemaRule[];
  readonly #fitting: readonly SchemaRule[];

  constructor(method: FuzzMethod, basis: CaseBasis, seed: number) {
    this.#method = method;
    this.#schema = method.input ?? nothing;
    this.#carrier = method.kind === 'procedure' ? 'body' : 'params';
    this.#basis = basis;
    this.#seed = seed;
    const rules = method.input === undefined ? [] : rulesOf(method.input, { carrier: this.#carrier, pool: basis.pool });
    this.#breaking = rules.filter(({ outcome }) => outcome === 'breaks');
    this.#fitting = rules.filter(({ outcome }) => outcome !== 'breaks');
  }

  /** Number of ways to break a rule; as many cases of kind `broken` break each once. */
  get ruleCount(): number {
    return this.#breaking.length;
  }

  /** Returns the case with this number; numbers continue over all bases of the method. */
  make(index: number): FuzzCase {
    const kind = kindOrder[index % kindOrder.length] ?? 'valid';
    const round = Math.floor(index / kindOrder.length);
    switch (kind) {
      case 'unchanged':
        return this.#structured('unchanged', 'as a client calls it', 'fits', this.#basis.validInput);
      case 'valid':
        return this.#structured('valid', 'fits the schema', 'fits', this.#pick(this.#varied(), index));
      case 'broken':
        return this.#byRule(this.#breaking, 'broken', index);
      case 'boundary':
        return this.#byRule(this.#fitting, 'boundary', index);
      case 'swapped':
        return this.#swapped(index);
      case 'wild':
        return this.#wild(index);
      case 'raw':
        return this.#raw(round);
    }
  }

  #pick<Value>(arbitrary: fc.Arbitrary<Value>, index: number): Value {
    const [value] = fc.sample(arbitrary, { numRuns: 1, seed: this.#seed * 1_000_003 + index });
    if (value === undefined) throw new Error('nothing was generated');
    return value;
  }

  /** The valid input with some fields replaced by other valid values. */
  #varied(): fc.Arbitrary<JsonObject> {
    const { validInput, pool } = this.#basis;
    return fc
      .tuple(
        validObject(this.#schema, pool),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 30, maxLength: 30 }),
      )
      .map(([made, dice]) => {
        const names = Object.keys(this.#schema.properties);
        const chosen = names.flatMap((name, at): [string, Json][] => {
          const source = (dice[at % dice.length] ?? 0) < 7 ? validInput : made;
          const value =
            this.#present(source[name]) ?? (this.#schema.required.includes(name) ? validInput[name] : undefined);
          return value === undefined ? [] : [[name, value]];
        });
        return Object.fromEntries(chosen);
      });
  }

  /** Returns undefined for an empty parameter, item or list of parameters, because a URL cannot express it. */
  #present(value: Json | undefined): Json | undefined {
    if (this.#carrier === 'body' || value === undefined) return value;
    const isAbsent = Array.isArray(value) ? value.length === 0 || value.includes('') : value === '';
    return isAbsent ? undefined : value;
  }

  #byRule(rules: readonly SchemaRule[], kind: 'broken' | 'boundary', index: number): FuzzCase {
    const rule = rules[earlierOfKind(kind, index) % Math.max(1, rules.length)];
    if (rule === undefined) return this.#wild(index);
    const base = index % 3 === 0 ? this.#pick(this.#varied(), index) : this.#basis.validInput;
    const filler = (path: Path): Json =>
      this.#pick(validValue(schemaAt(this.#schema, path), nameOf(path), this.#basis.pool), index);
    const input = replaceAt(base, rule.path, this.#pick(rule.replacement, index), filler);
    return this.#structured(kind, `${rule.rule} at ${rule.path.join('.')}`, expectations[rule.outcome], input);
  }

  /** The valid input with one value of another type. */
  #swapped(index: number): FuzzCase {
    const fields = Object.entries(this.#basis.validInput);
    const [name, value] = fields[index % Math.max(1, fields.length)] ?? [];
    if (name === undefined || value === undefined || this.#method.input === undefined) return this.#wild(index);
    if (this.#carrier === 'params' && Array.isArray(value)) return this.#byRule(this.#breaking, 'broken', index);
    const other =
      this.#carrier === 'params' ? [value, value] : this.#pick(fc.constantFrom(...otherTypes(value)), index);
    return this.#structured('swapped', `type of ${name}`, 'refused', { ...this.#basis.validInput, [name]: other });
  }

  #wild(index: number): FuzzCase {
    const { validInput } = this.#basis;
    const names = Object.keys(this.#schema.properties);
    const name = names[index % Math.max(1, names.length)];
    const value = this.#pick(
      this.#carrier === 'params' ? fc.oneof(wildText, wildNumber) : fc.oneof(wildText, wildNumber, wildJson),
      index,
    );
    switch (index % 4) {
      case 0:
        return this.#structured('wild', 'anything', 'anything', this.#carrier === 'body' ? value : { wild: value });
      case 1: {
        const more = this.#pick(fc.dictionary(fc.string({ maxLength: 12 }), wildJson, { maxKeys: 4 }), index);
        return this.#structured('wild', 'more fields', 'anything', { ...more, ...validInput });
      }
      default: {
        const changed = name === undefined ? { wild: value } : { ...validInput, [name]: value };
        return this.#structured('wild', `anything as ${name ?? 'wild'}`, 'anything', changed);
      }
    }
  }

  #raw(round: number): FuzzCase {
    const search = this.#carrier === 'params' || round % 5 === 4 ? (rawSearches[round % rawSearches.length] ?? '') : '';
    if (this.#carrier === 'params')
      return {
        kind: 'raw',
        about: `search ${round % rawSearches.length}`,
        expected: 'anything',
        input: undefined,
        request: this.#request(search, undefined),
      };
    const types = [
      'application/json',
      'application/json',
      'application/json',
      'text/plain',
      'application/json; charset=utf-16',
      undefined,
    ];
    const contentType = types[round % types.length];
    const body = rawBodies[round % rawBodies.length] ?? '';
    const isOurs = contentType?.startsWith('application/json') === true && isJsonObject(body);
    const expected = this.#method.input === undefined || isOurs ? 'anything' : 'refused';
    const about = `body ${round % rawBodies.length} as ${contentType ?? 'nothing'}`;
    return { kind: 'raw', about, expected, input: undefined, request: { ...this.#request(search, body), contentType } };
  }

  #structured(kind: CaseKind, about: string, expected: FuzzCase['expected'], input: Json): FuzzCase {
    return { kind, about, expected, input, request: this.requestOf(input) };
  }

  /** Encodes `input` as a request of this method. */
  requestOf(input: Json): FuzzRequest {
    if (this.#carrier === 'params') return this.#request(searchOf(input), undefined);
    const hasBody = this.#method.input !== undefined || Object.keys(input ?? {}).length > 0;
    return this.#request('', hasBody ? JSON.stringify(input) : undefined);
  }

  #request(search: string, body: string | Buffer | undefined): FuzzRequest {
    return {
      verb: this.#carrier === 'body' ? 'POST' : 'GET',
      search,
      body,
      contentType: body === undefined ? undefined : 'application/json',
    };
  }
}

/** Number of cases of this kind before the one with this number. */
function earlierOfKind(kind: CaseKind, index: number): number {
  const isKind = (each: CaseKind): boolean => each === kind;
  const round = Math.floor(index / kindOrder.length);
  return round * kindOrder.filter(isKind).length + kindOrder.slice(0, index % kindOrder.length).filter(isKind).length;
}

function nameOf(path: Path): string {
  return String(path.findLast((segment) => typeof segment === 'string') ?? '');
}

function schemaAt(schema: FieldSchema, path: Path): FieldSchema {
  return path.reduce<FieldSchema>((at, key) => {
    const next = at.type === 'array' ? at.items : at.type === 'object' ? at.properties[key] : undefined;
    if (next === undefined) throw new Error(`the schema has no field ${path.join('.')}`);
    return next;
  }, schema);
}

function otherTypes(value: Json): Json[] {
  if (typeof value === 'string') return [[value], { $bytes: value }, { value }, value.length, null];
  if (typeof value === 'number') return [String(value), [value], { value }, value + 0.5, null];
  if (typeof value === 'boolean') return [String(value), Number(value), [value], null];
  if (Array.isArray(value))
    return [Object.fromEntries(Object.entries(value)) as JsonObject, JSON.stringify(value), null];
  return [JSON.stringify(value), [value], null];
}

function searchOf(input: Json): string {
  const fields = typeof input === 'object' && input !== null ? Object.entries(input as JsonObject) : [];
  const entries = fields.flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly Json[]) : [value]).map((item): [string, string] => [name, textOf(item)]),
  );
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`;
}

function textOf(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function isJsonObject(body: string | Buffer): boolean {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(body)),
    );
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
