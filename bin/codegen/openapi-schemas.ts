import { lexiconNode } from './lexicon-node.ts';
import type { LexiconNode } from './lexicon-node.ts';

type Schema = Readonly<Record<string, unknown>>;

const didPattern = String.raw`^did:[a-z]+:[a-zA-Z0-9._:%-]+$`;
const formats: Readonly<Record<string, Schema>> = {
  datetime: { format: 'date-time' },
  did: { pattern: didPattern },
  'at-uri': { pattern: '^at://' },
  uri: { format: 'uri' },
  cid: {},
};

/** Makes schemas of OpenAPI 3.1 from the types of one lexicon, and notes the definitions to which they refer. */
export class SchemaWriter {
  readonly #id: string;
  readonly #onRef: (ref: string) => void;

  /** @param onRef is called with each absolute reference, such as `blue.catbird.mls.defs#convoView`. */
  constructor(id: string, onRef: (ref: string) => void) {
    this.#id = id;
    this.#onRef = onRef;
  }

  /** @throws Error for a type or keyword that the lexicons did not use when this was written. */
  schemaOf(of: unknown): Schema {
    return this.#schema(lexiconNode.parse(of));
  }

  /** Returns the parameters of a query, with the recorded values as examples. */
  parametersOf(of: unknown, examples: Readonly<Record<string, unknown>>): Schema[] {
    const { properties = {}, required = [] } = lexiconNode.parse(of ?? { type: 'params' });
    return Object.entries(properties).map(([name, { description, ...field }]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: this.#schema(field),
      ...(examples[name] === undefined ? {} : { example: examples[name] }),
    }));
  }

  #schema(of: LexiconNode): Schema {
    const described = of.description === undefined ? {} : { description: of.description };
    switch (of.type) {
      case 'object':
        return this.#object(of);
      case 'array':
        return { type: 'array', ...described, ...this.#itemsOf(of) };
      case 'bytes':
        return { ...this.#ref(bytesRef), ...described };
      case 'ref':
        return { ...this.#ref(this.#absolute(of.ref ?? '')), ...described };
      case 'union':
        return { ...described, oneOf: (of.refs ?? []).map((ref) => this.#member(this.#absolute(ref))) };
      default:
        return { type: of.type, ...described, ...plainFacts(of) };
    }
  }

  #itemsOf({ items, minLength, maxLength }: LexiconNode): Schema {
    const limited = limits({ minItems: minLength, maxItems: maxLength });
    return items === undefined ? limited : { items: this.#schema(items), ...limited };
  }

  #object({ description, properties = {}, required = [] }: LexiconNode): Schema {
    return {
      type: 'object',
      ...(description === undefined ? {} : { description }),
      ...(required.length === 0 ? {} : { required }),
      properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, this.#schema(field)])),
    };
  }

  /** A member of a union has its name in `$type`. */
  #member(ref: string): Schema {
    const named = { type: 'object', required: ['$type'], properties: { $type: { const: ref } } };
    return { allOf: [this.#ref(ref), named] };
  }

  #ref(ref: string): Schema {
    this.#onRef(ref);
    return { $ref: `#/components/schemas/${componentName(ref)}` };
  }

  #absolute(ref: string): string {
    return ref.startsWith('#') ? `${this.#id}${ref}` : ref;
  }
}

/** The reference to the form of bytes in JSON. */
export const bytesRef = 'bytes';

export const bytesSchema: Schema = {
  type: 'object',
  description: 'Bytes in the JSON of AT Protocol.',
  required: ['$bytes'],
  properties: { $bytes: { type: 'string', contentEncoding: 'base64', description: 'The bytes in base64.' } },
};

/** `blue.catbird.mls.defs#convoView` is `defs.convoView`. */
export function componentName(ref: string): string {
  return ref.replace('blue.catbird.mls.', '').replace('#', '.');
}

function stringFacts(of: LexiconNode): Schema {
  const { format, knownValues } = of;
  const form = format === undefined ? {} : formats[format];
  if (form === undefined) throw new Error(`bin/codegen/openapi-schemas.ts does not know the format ${format}`);
  return {
    ...form,
    // The limit of a lexicon counts bytes of UTF-8, of which every character has at least one.
    ...limits({ maxLength: of.maxLength, const: of.const, default: of.default, enum: of.enum }),
    ...(knownValues === undefined ? {} : { examples: knownValues }),
  };
}

/** @throws Error for a type that the lexicons did not use when this was written. */
function plainFacts(of: LexiconNode): Schema {
  const { minimum, maximum, default: initial, const: only } = of;
  switch (of.type) {
    case 'string':
      return stringFacts(of);
    case 'integer':
      return limits({ minimum, maximum, default: initial, const: only });
    case 'boolean':
      return limits({ default: initial, const: only });
    default:
      throw new Error(`bin/codegen/openapi-schemas.ts does not know the type ${of.type}`);
  }
}

/** Leaves out what is not set. */
function limits(facts: Schema): Schema {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined));
}
