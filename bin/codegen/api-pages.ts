import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { authErrors } from '#auth/auth-error.ts';
import { domainErrors } from '#domain/domain-error.ts';
import { settings } from '#platform/config/settings.ts';
import { quotas, windowSecondsOf } from '#quota/table/quotas.ts';
import type { Quota } from '#quota/table/quotas.ts';
import { generalErrors } from '#xrpc/response/general-error.ts';
import { statuses } from '#xrpc/response/statuses.ts';
import { neverSent } from '../../test/contract/never-sent.ts';
import { callers } from './callers.ts';
import { cell, fieldTable, typeText } from './lexicon-tables.ts';
import { readFolder } from './lexicon-modules.ts';

const body = z.object({ schema: z.looseObject({ type: z.string() }).optional() });
const main = z.object({
  type: z.enum(['query', 'procedure', 'subscription']),
  description: z.string(),
  parameters: z.unknown().optional(),
  input: body.optional(),
  output: z.object({ encoding: z.string(), ...body.shape }).optional(),
  message: body.optional(),
  errors: z.array(z.object({ name: z.string(), description: z.string() })).default([]),
});
const definition = z.looseObject({ type: z.string(), description: z.string().optional() });
const lexicon = z.object({ id: z.string(), defs: z.record(z.string(), definition) });

const exampleList = z.record(
  z.string(),
  z.object({ request: z.record(z.string(), z.unknown()).optional(), answer: z.unknown() }),
);

type Example = z.infer<typeof exampleList>[string];
type Lexicon = z.infer<typeof lexicon>;
type Method = z.infer<typeof main>;

const namespace = 'blue.catbird.mls.';
const notice =
  'Written by `npm run codegen` from the lexicon, the quota table, the list of errors and `test/contract/examples.json`; do not edit.';
const statusByName: Readonly<Record<string, number>> = statuses;
const textByName: Readonly<Record<string, string>> = { ...authErrors, ...generalErrors, ...domainErrors };

/** Returns the pages of `docs/api` by file name, with one page for each lexicon and an overview. */
export async function apiPages(projectRoot: string): Promise<Map<string, string>> {
  const folder = join(projectRoot, 'lexicons/blue/catbird/mls');
  const pages = new Map<string, string>();
  const examples = exampleList.parse(
    JSON.parse(await readFile(join(projectRoot, 'test/contract/examples.json'), 'utf8')),
  );
  const overview: string[] = [];
  for (const [file, text] of [...(await readFolder(folder))].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    const parsed = lexicon.parse(JSON.parse(text));
    const name = file.replace('.json', '');
    const method = parsed.defs['main'] === undefined ? undefined : main.parse(parsed.defs['main']);
    const quota = method === undefined ? undefined : await quotaOf(projectRoot, name);
    pages.set(`${name}.md`, `${page(name, parsed, { method, quota, example: examples[name] }).join('\n')}\n`);
    const caller = method === undefined ? '' : callerOf(name);
    overview.push(`| [\`${name}\`](${name}.md) | ${cell(method?.description ?? 'Definitions.')} | ${caller} |`);
  }
  pages.set('README.md', `${readme(overview).join('\n')}\n`);
  return pages;
}

/** Returns the quota that the endpoint names, or the default quota when it names none. */
async function quotaOf(projectRoot: string, name: string): Promise<Quota> {
  const source = await readFile(join(projectRoot, `src/xrpc/mls/${name}.ts`), 'utf8').catch(() => '');
  const row = /quota: '(\w+)'/.exec(source)?.[1] ?? 'callerDefault';
  const rows: Readonly<Record<string, Quota>> = quotas;
  return rows[row] ?? quotas.callerDefault;
}

function page(
  name: string,
  { id, defs }: Lexicon,
  { method, quota, example }: { method: Method | undefined; quota: Quota | undefined; example: Example | undefined },
): string[] {
  const others = Object.entries(defs).filter(([key]) => key !== 'main');
  return [
    `# ${name}`,
    '',
    notice,
    ...(method === undefined || quota === undefined ? [] : methodPart(id, method, quota)),
    ...others.flatMap(([key, node]) => [
      '',
      `## ${key}`,
      ...(node.description === undefined ? [] : ['', node.description]),
      '',
      ...(node.type === 'object' ? fieldTable(node) : [typeText(node)]),
    ]),
    ...(method === undefined || example === undefined ? [] : examplePart(id, method, example)),
  ];
}

function methodPart(id: string, method: Method, quota: Quota): string[] {
  const { fallback } = settings[quota.setting];
  return [
    '',
    method.description,
    '',
    `- **Request:** \`${method.type === 'procedure' ? 'POST' : 'GET'} /xrpc/${id}\`${method.type === 'subscription' ? ' (WebSocket)' : ''}`,
    `- **Who may call:** ${callerOf(id.replace(namespace, ''))}`,
    `- **Quota:** ${fallback} in ${windowSecondsOf(quota)} seconds for an account (\`${quota.setting}\`). Protects: ${lowerFirst(quota.protects)}`,
    ...(method.type === 'procedure' ? [] : ['', '## Parameters', '', ...fieldTable(method.parameters ?? {})]),
    ...(method.type === 'procedure' ? ['', '## Input', '', ...bodyPart(method.input)] : []),
    ...(method.output === undefined ? [] : ['', '## Output', '', ...outputPart(method.output)]),
    ...(method.message === undefined ? [] : ['', '## Frames', '', ...bodyPart(method.message)]),
    '',
    '## Errors',
    '',
    ...errorTable(id.replace(namespace, ''), method.errors),
  ];
}

/** Writes the example of a method from a call that `test/contract/examples.test.ts` recorded. */
function examplePart(id: string, method: Method, { request, answer }: Example): string[] {
  const isPost = method.type === 'procedure';
  const search = isPost ? '' : searchOf(request ?? {});
  return [
    '',
    '## Example',
    '',
    '```http',
    `${isPost ? 'POST' : 'GET'} /xrpc/${id}${search === '' ? '' : `?${search}`}`,
    ...(isPost && request !== undefined ? ['', ...JSON.stringify(request, undefined, 2).split('\n')] : []),
    '```',
    '',
    method.type === 'subscription' ? 'A frame, its bytes shown as in JSON:' : 'Response:',
    '',
    '```json',
    ...JSON.stringify(answer, undefined, 2).split('\n'),
    '```',
  ];
}

function searchOf(request: Readonly<Record<string, unknown>>): string {
  return Object.entries(request)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((item) => `${name}=${String(item)}`))
    .join('&');
}

function callerOf(name: string): string {
  const caller = callers[name];
  if (caller === undefined) throw new Error(`bin/codegen/callers.ts does not say who may call ${name}`);
  return caller;
}

function outputPart(output: NonNullable<Method['output']>): string[] {
  return output.encoding === 'application/json' ? bodyPart(output) : [`\`${output.encoding}\``];
}

function bodyPart(part: z.infer<typeof body> | undefined): string[] {
  if (part?.schema === undefined) return ['Nothing.'];
  return part.schema.type === 'object' ? fieldTable(part.schema) : [typeText(part.schema)];
}

function errorTable(method: string, errors: Method['errors']): string[] {
  if (errors.length === 0) return ['Only [the errors of every method](README.md#errors-of-every-method).'];
  return [
    'In addition to [the errors of every method](README.md#errors-of-every-method):',
    '',
    '| Name | Status | When | Text |',
    '| --- | --- | --- | --- |',
    ...errors.map(({ name, description }) => {
      const reason = neverSent[`${method}.${name}`] ?? neverSent[name];
      const status = reason === undefined ? (statusByName[name] ?? 'last frame') : 'never sent';
      const when = reason === undefined ? description : `${upperFirst(reason)}.`;
      const text = reason === undefined ? (textByName[name] ?? '') : '';
      return `| \`${name}\` | ${status} | ${cell(when)} | ${cell(text)} |`;
    }),
  ];
}

function readme(overview: readonly string[]): string[] {
  return [
    '# The API',
    '',
    'Every method of `blue.catbird.mls` that this service implements. Requests are JSON over `GET` or `POST /xrpc/<method>` with a',
    'service token (`Authorization: Bearer`); success is always status 200. Bytes are `{"$bytes": "<base64>"}`.',
    '',
    notice,
    '',
    '| Method | Purpose | Who may call |',
    '| --- | --- | --- |',
    ...overview,
    '',
    '## Errors of every method',
    '',
    'A refusal is `{"error": "<Name>", "message": "<Text>"}`. Data that a caller may not see is refused like data that does not exist.',
    '',
    '| Name | Status | Text |',
    '| --- | --- | --- |',
    ...Object.entries({ ...authErrors, ...generalErrors }).map(
      ([name, text]) => `| \`${name}\` | ${statusByName[name] ?? ''} | ${cell(text)} |`,
    ),
  ];
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
