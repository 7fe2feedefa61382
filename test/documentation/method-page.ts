import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleRequest, exampleList } from '../../bin/codegen/example-code.ts';
import type { ExampleVariable } from '../../bin/codegen/example-code.ts';
import { projectRoot } from '../conventions/source-tree.ts';

const examples = exampleList.parse(
  JSON.parse(readFileSync(join(projectRoot, 'test/contract/examples.json'), 'utf8')) as unknown,
);

/** The names of all methods. */
export const methodNames: readonly string[] = Object.keys(examples);

/** The examples on the page of a method, as printed. */
export interface PrintedExamples {
  readonly typescript: string;
  readonly curl: string;
  /** The values that the reader fills in. */
  readonly variables: readonly ExampleVariable[];
}

/** Reads the examples from `docs/api/<method>.md`. @throws Error when the page has no such example. */
export function printedExamples(method: string): PrintedExamples {
  const page = readFileSync(join(projectRoot, `docs/api/${method}.md`), 'utf8');
  const { variables } = exampleRequest(examples[method]?.request);
  const stated = [...page.matchAll(/^\| (?:`\w+`)? ?\| `\$(\w+)` \|/gm)].map(([, name]) => name);
  const unstated = variables.filter(({ shellName }) => !stated.includes(shellName)).map(({ name }) => name);
  if (unstated.length > 0) throw new Error(`docs/api/${method}.md does not say what ${unstated.join(', ')} is`);
  return {
    typescript: codeBelow(page, { heading: '### In TypeScript', language: 'ts' }),
    curl: codeBelow(page, { heading: '### With curl', language: 'sh' }),
    variables,
  };
}

/** Returns the first code block of a language below a heading. @throws Error when there is none. */
export function codeBelow(page: string, { heading, language }: { heading: string; language: string }): string {
  const [, section = ''] = page.split(`\n${heading}\n`);
  const [, code] =
    new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(section.split(/^#/m)[0] ?? '') ?? [];
  if (code === undefined) throw new Error(`there is no code in ${language} below "${heading}"`);
  return code;
}

/** Returns the value that `request` has for a variable: text, or bytes as base64. */
export function valueOf({ path, isBytes }: ExampleVariable, request: unknown): string {
  let at = request;
  for (const step of isBytes ? [...path, '$bytes'] : path)
    at = (at as Readonly<Record<string | number, unknown>>)[step];
  if (typeof at !== 'string') throw new TypeError(`the request has no text at ${path.join('.')}`);
  return at;
}
