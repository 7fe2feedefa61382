import { z } from 'zod';
import { isPlaceholder, personOf } from '../../test/contract/placeholders.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [field: string]: Json };

const json: z.ZodType<Json> = z.json();

/** The examples that `test/contract/examples.test.ts` records, by method. */
export const exampleList = z.record(
  z.string(),
  z.object({ caller: z.string(), request: z.record(z.string(), json).optional(), answer: json }),
);
export type RecordedExample = z.infer<typeof exampleList>[string];

/** A value of a request that differs between servers, and that the reader of an example fills in. */
export interface ExampleVariable {
  /** The name in TypeScript; in the shell it is `shellName`. */
  readonly name: string;
  readonly shellName: string;
  /** Bytes are a `Uint8Array` in TypeScript and base64 in the shell. */
  readonly isBytes: boolean;
  /** The field of the request from which it was taken; undefined for the DID of a person. */
  readonly field: string | undefined;
  /** Where the request has the value. */
  readonly path: readonly (string | number)[];
}

/** A part of a request. */
export type Part = string | number | boolean | null | ExampleVariable | readonly Part[] | PartFields;
interface PartFields {
  readonly fields: readonly (readonly [name: string, part: Part])[];
}

/** A request whose varying values are variables. */
export interface ExampleRequest {
  readonly fields: PartFields;
  readonly variables: readonly ExampleVariable[];
}

/** Replaces the placeholders in a recorded request with variables. Equal ids become one variable. */
export function exampleRequest(request: RecordedExample['request'] = {}): ExampleRequest {
  const variables: ExampleVariable[] = [];
  const byValue = new Map<string, ExampleVariable>();

  function variableFor(path: ExampleVariable['path'], { value, isBytes }: { value: string; isBytes: boolean }): Part {
    const known = byValue.get(value);
    if (known !== undefined) return known;
    const person = personOf(value);
    const field = String(path.findLast((step) => typeof step === 'string'));
    const ofList = typeof path.at(-1) === 'number';
    const base = person === undefined ? (ofList ? field.replace(/s$/, '') : field) : `${person}Did`;
    const sameName = variables.filter(({ name }) => name.replace(/\d+$/, '') === base).length;
    const name = sameName === 0 ? base : `${base}${sameName + 1}`;
    const shellName = name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
    const variable = { name, shellName, isBytes, field: person === undefined ? field : undefined, path };
    variables.push(variable);
    // Every ciphertext has the same placeholder.
    if (value !== '<base64>') byValue.set(value, variable);
    return variable;
  }
  function partOf(value: Json, path: ExampleVariable['path']): Part {
    if (typeof value === 'string') return isPlaceholder(value) ? variableFor(path, { value, isBytes: false }) : value;
    if (typeof value !== 'object' || value === null) return value;
    if (isList(value)) return value.map((item, index) => partOf(item, [...path, index]));
    const bytes = value['$bytes'];
    if (typeof bytes === 'string') return variableFor(path, { value: bytes, isBytes: true });
    return fieldsOf(value, path);
  }
  function fieldsOf(value: Readonly<Record<string, Json>>, path: ExampleVariable['path']): PartFields {
    return { fields: Object.entries(value).map(([name, item]) => [name, partOf(item, [...path, name])]) };
  }
  return { fields: fieldsOf(request, []), variables };
}

function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** Returns whether a part of a request is a variable. */
export function isVariable(part: Part): part is ExampleVariable {
  return typeof part === 'object' && part !== null && 'shellName' in part;
}

/** Prints a part of a request on one line if it fits, and otherwise with one line for each entry. */
export function printPart(part: Part, style: PrintStyle, indent = ''): string {
  const entries = entriesOf(part, style, `${indent}  `);
  if (entries === undefined) return style.value(part as Exclude<Part, readonly Part[] | PartFields>);
  const [open, close] = isPartList(part) ? ['[', ']'] : ['{', '}'];
  if (entries.length === 0) return `${open}${close}`;
  const space = open === '{' ? ' ' : '';
  const line = `${open}${space}${entries.join(', ')}${space}${close}`;
  if (line.length + indent.length <= lineLengthMax && !line.includes('\n')) return line;
  return [
    `${open}`,
    ...entries.map((entry, at) => `${indent}  ${entry}${separator(style, at, entries)}`),
    `${indent}${close}`,
  ].join('\n');
}

/** How values, fields and the ends of entries are written. */
export interface PrintStyle {
  readonly value: (value: string | number | boolean | null | ExampleVariable) => string;
  readonly field: (name: string, value: string) => string;
  readonly commaAfterLast: boolean;
}

const lineLengthMax = 76;

function separator({ commaAfterLast }: PrintStyle, at: number, entries: readonly string[]): string {
  return commaAfterLast || at < entries.length - 1 ? ',' : '';
}

function entriesOf(part: Part, style: PrintStyle, indent: string): string[] | undefined {
  if (isPartList(part)) return part.map((item) => printPart(item, style, indent));
  if (typeof part === 'object' && part !== null && 'fields' in part)
    return part.fields.map(([name, item]) => style.field(name, printPart(item, style, indent)));
  return undefined;
}

/** Returns whether a part of a request is a list. */
export function isPartList(part: Part): part is readonly Part[] {
  return Array.isArray(part);
}
