import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { lexiconNode } from './lexicon-node.ts';
import type { LexiconNode } from './lexicon-node.ts';

const namespace = 'blue.catbird.mls.';
const notice = '/* Written by `npm run codegen` from the lexicons; do not edit. */';

const body = z.object({ encoding: z.string(), schema: lexiconNode.optional() });
const main = z.object({
  type: z.string(),
  description: z.string().optional(),
  parameters: lexiconNode.optional(),
  input: body.optional(),
  output: body.optional(),
  message: z.object({ schema: lexiconNode }).optional(),
  errors: z.array(z.object({ name: z.string() })).default([]),
});
const lexicon = z.object({ id: z.string(), defs: z.record(z.string(), z.looseObject({ type: z.string() })) });

interface Method {
  readonly name: string;
  readonly description: string;
  readonly kind: 'query' | 'procedure';
  readonly request: LexiconNode | undefined;
  readonly response: LexiconNode | undefined;
  readonly errors: readonly string[];
}

/** The text of `packages/client/src/api/methods.ts`: types of every method and event, and how each method is sent. */
export async function clientTypes(lexiconFolder: string, names: readonly string[]): Promise<string> {
  const interfaces: string[] = [];
  const methods: Method[] = [];
  const events: string[] = [];
  for (const name of ['defs', ...names]) {
    const { id, defs } = lexicon.parse(JSON.parse(await readFile(join(lexiconFolder, `${name}.json`), 'utf8')));
    for (const [defName, def] of Object.entries(defs)) {
      if (def.type === 'object') interfaces.push(interfaceText(id, defName, lexiconNode.parse(def)));
    }
    if (defs['main'] === undefined) continue;
    const parsed = main.parse(defs['main']);
    if (parsed.type === 'subscription') events.push(eventUnion(id, parsed.message?.schema.refs ?? []));
    else if (parsed.output?.encoding !== 'text/event-stream') methods.push(methodOf(name, parsed));
  }
  return [
    notice,
    '',
    ...interfaces,
    ...events,
    '/** Request, response and declared errors of every method. */',
    'export interface Methods {',
    ...methods.map(methodText),
    '}',
    '',
    'export type MethodName = keyof Methods;',
    '',
    '/** How a method is sent, and which field makes a repetition harmless. */',
    'export interface MethodFacts {',
    "  readonly kind: 'query' | 'procedure';",
    "  readonly repeatedBy?: 'idempotencyKey' | 'msgId';",
    '}',
    '',
    'export const methods: Readonly<Record<MethodName, MethodFacts>> = {',
    ...methods.map(factsText),
    '};',
    '',
  ].join('\n');
}

function methodOf(name: string, parsed: z.infer<typeof main>): Method {
  return {
    name,
    description: parsed.description ?? '',
    kind: parsed.type === 'query' ? 'query' : 'procedure',
    request: parsed.type === 'query' ? parsed.parameters : parsed.input?.schema,
    response: parsed.output?.schema,
    errors: parsed.errors.map((error) => error.name),
  };
}

function methodText({ name, description, request, response, errors }: Method): string {
  const id = `${namespace}${name}`;
  return [
    `  /** ${description} */`,
    `  readonly ${name}: {`,
    `    readonly request: ${request === undefined ? 'Readonly<Record<never, never>>' : typeText(id, request)};`,
    `    readonly response: ${response === undefined ? 'undefined' : typeText(id, response)};`,
    `    readonly errors: ${errors.length === 0 ? 'never' : errors.map(quoted).join(' | ')};`,
    '  };',
  ].join('\n');
}

function factsText({ name, kind, request }: Method): string {
  const fields = request?.properties ?? {};
  const field = 'msgId' in fields ? 'msgId' : 'idempotencyKey' in fields ? 'idempotencyKey' : undefined;
  const repeatedBy = field === undefined ? '' : `, repeatedBy: '${field}'`;
  return `  ${name}: { kind: '${kind}'${repeatedBy} },`;
}

function interfaceText(id: string, name: string, def: LexiconNode): string {
  const comment = def.description === undefined ? '' : `/** ${def.description} */\n`;
  return `${comment}export interface ${typeName(id, name)} {\n${fieldsText(id, def)}\n}\n`;
}

function fieldsText(id: string, def: LexiconNode): string {
  return Object.entries(def.properties ?? {})
    .map(([name, field]) => {
      const comment = field.description === undefined ? '' : `  /** ${field.description} */\n`;
      const optional = def.required?.includes(name) === true ? '' : '?';
      const absent = optional === '' ? '' : ' | undefined';
      return `${comment}  readonly ${name}${optional}: ${typeText(id, field)}${absent};`;
    })
    .join('\n');
}

function eventUnion(id: string, refs: readonly string[]): string {
  const members = refs.map((ref) => `  | ({ readonly $type: '${id}${ref}' } & ${refName(id, ref)})`);
  return `/** Every event of a stream. */\nexport type StreamEvent =\n${members.join('\n')};\n`;
}

const plainTypes: Readonly<Record<string, string>> = { integer: 'number', boolean: 'boolean', bytes: 'Uint8Array' };

function typeText(id: string, { type, ...facts }: LexiconNode): string {
  const plain = plainTypes[type];
  if (plain !== undefined) return plain;
  switch (type) {
    case 'object':
    case 'params':
      return `{\n${fieldsText(id, { type, ...facts })}\n}`;
    case 'array':
      return `readonly ${wrapped(facts.items === undefined ? 'unknown' : typeText(id, facts.items))}[]`;
    case 'string':
      return stringText(facts);
    case 'ref':
      return refName(id, facts.ref ?? '');
    case 'union':
      return unionText(id, facts.refs ?? []);
    default:
      throw new Error(`${id} has a field of the type ${type}, which bin/codegen/client-types.ts cannot write`);
  }
}

function unionText(id: string, refs: readonly string[]): string {
  return refs.map((ref) => `({ readonly $type: '${absolute(id, ref)}' } & ${refName(id, ref)})`).join(' | ');
}

function stringText({ enum: only, knownValues }: Omit<LexiconNode, 'type'>): string {
  if (only !== undefined) return only.map(quoted).join(' | ');
  return knownValues === undefined ? 'string' : `${knownValues.map(quoted).join(' | ')} | (string & {})`;
}

const wrapped = (text: string): string => (text.includes('|') ? `(${text})` : text);
const quoted = (text: string): string => `'${text}'`;

function absolute(id: string, ref: string): string {
  return ref.startsWith('#') ? `${id}${ref}` : ref;
}

function refName(id: string, ref: string): string {
  const [of = '', name = ''] = absolute(id, ref).split('#');
  return typeName(of, name);
}

/** `defs#convoView` is `ConvoView`; `addMembers#keyPackageHashEntry` is `AddMembersKeyPackageHashEntry`. */
function typeName(id: string, name: string): string {
  const method = id.replace(namespace, '');
  const prefix = method === 'defs' || method === 'subscribeConvoEvents' ? '' : capitalized(method.replace('.', ''));
  return `${prefix}${capitalized(name)}`;
}

function capitalized(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
