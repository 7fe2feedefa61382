import { placeTexts } from './error-pages.ts';
import { actionsOf, generalErrorFacts } from './error-facts.ts';
import type { ErrorFacts } from './error-facts.ts';
import { examplePart } from './example-part.ts';
import type { FindDefinition } from './example-part.ts';
import { cell, fieldTable, typeText } from './lexicon-tables.ts';
import { readLexicons } from './method-facts.ts';
import type { LexiconFacts, MethodBody, MethodFacts } from './method-facts.ts';

const notice =
  '<!-- Written by `npm run codegen` from the lexicon, the quota table, the list of errors and test/contract/examples.json; do not edit. -->';

/** Returns the pages of `docs/api` by file name, with one page for each lexicon and an overview. */
export async function apiPages(projectRoot: string): Promise<Map<string, string>> {
  const lexicons = await readLexicons(projectRoot);
  const pages = new Map<string, string>();
  for (const lexicon of lexicons) {
    const lines = page(lexicon, (ref) => definitionOf(lexicons, lexicon.id, ref));
    pages.set(`${lexicon.name}.md`, `${lines.join('\n')}\n`);
  }
  const ticketText = (await placeTexts(projectRoot)).find(({ name }) => name === 'BadTicket')?.text ?? '';
  pages.set('README.md', `${readme(lexicons, ticketText).join('\n')}\n`);
  return pages;
}

function definitionOf(lexicons: readonly LexiconFacts[], id: string, ref: string): unknown {
  const [of = '', name = ''] = ref.split('#');
  const lexicon = lexicons.find((each) => each.id === (of === '' ? id : of));
  return lexicon?.definitions.find(([key]) => key === name)?.[1];
}

function page({ id, name, method, definitions }: LexiconFacts, find: FindDefinition): string[] {
  return [
    `# ${name}`,
    '',
    notice,
    ...(method === undefined ? [] : [...methodPart(id, method), ...examplePart(name, method, find)]),
    ...definitions.flatMap(([key, node]) => [
      '',
      `## ${key}`,
      ...(node.description === undefined ? [] : ['', node.description]),
      '',
      ...(node.type === 'object' ? fieldTable(node) : [typeText(node)]),
    ]),
  ];
}

function methodPart(id: string, method: MethodFacts): string[] {
  return [
    '',
    method.description,
    '',
    `- **Request:** \`${method.type === 'procedure' ? 'POST' : 'GET'} /xrpc/${id}\`${method.type === 'subscription' ? ' (WebSocket)' : ''}`,
    `- **Who may call:** ${method.caller}`,
    `- **Quota:** ${method.quota}`,
    ...(method.type === 'procedure' ? [] : ['', '## Parameters', '', ...fieldTable(method.parameters ?? {})]),
    ...(method.type === 'procedure' ? ['', '## Input', '', ...bodyPart(method.input)] : []),
    ...(method.output === undefined ? [] : ['', '## Output', '', ...outputPart(method.output)]),
    ...(method.message === undefined ? [] : ['', '## Frames', '', ...bodyPart(method.message)]),
    '',
    '## Errors',
    '',
    ...errorTable(method.errors),
  ];
}

function outputPart(output: MethodBody): string[] {
  return output.encoding === 'application/json' ? bodyPart(output) : [`\`${output.encoding ?? ''}\``];
}

function bodyPart(part: MethodBody | undefined): string[] {
  if (part?.schema === undefined) return ['Nothing.'];
  return part.schema.type === 'object' ? fieldTable(part.schema) : [typeText(part.schema)];
}

function errorTable(errors: readonly ErrorFacts[]): string[] {
  if (errors.length === 0) return ['Only [the errors of every method](README.md#errors-of-every-method).'];
  return [
    'In addition to [the errors of every method](README.md#errors-of-every-method); [errors](../errors.md) has their texts:',
    '',
    ...errorRows(errors),
  ];
}

function errorRows(errors: readonly ErrorFacts[]): string[] {
  return [
    '| Name | Status | When | What to do |',
    '| --- | --- | --- | --- |',
    ...errors.map(({ name, status, isSent, when, action }) => {
      const shown = isSent ? (status ?? 'last frame') : 'never sent';
      return `| \`${name}\` | ${shown} | ${cell(when)} | ${cell(action)} |`;
    }),
  ];
}

function readme(lexicons: readonly LexiconFacts[], ticketText: string): string[] {
  return [
    '# The API',
    '',
    'Every method of `blue.catbird.mls` that this service implements. Requests are JSON over `GET` or `POST /xrpc/<method>` with a',
    'service token (`Authorization: Bearer`); success is always status 200. Bytes are `{"$bytes": "<base64>"}`. A running service has',
    'these pages at `/docs`, an OpenAPI 3.1 document at `/openapi.json`, and every lexicon at `/lexicons/<nsid>.json`.',
    '',
    notice,
    '',
    ...howToRun,
    '',
    '## Methods',
    '',
    '| Method | Purpose | Who may call |',
    '| --- | --- | --- |',
    ...lexicons.map(
      ({ name, method }) =>
        `| [\`${name}\`](${name}.md) | ${cell(method?.description ?? 'Definitions.')} | ${method?.caller ?? ''} |`,
    ),
    '',
    '## Errors of every method',
    '',
    'A refusal is `{"error": "<Name>", "message": "<Text>"}`. Data that a caller may not see is refused like data that does not exist.',
    '',
    ...errorRows([
      ...generalErrorFacts(),
      {
        name: 'BadTicket',
        status: 401,
        isSent: true,
        when: `Only subscribeConvoEvents: ${ticketText.split('. ')[0]?.toLowerCase() ?? ''}.`,
        action: actionsOf(ticketText),
      },
    ]),
  ];
}

const howToRun = [
  '## How do I run the examples?',
  '',
  'Start a service with `npm start`: it makes [identities for development](../development.md), such as alice and bob. Each page names the',
  'person who calls, and what to put in place of each variable; `npm run -s admin -- dev people` prints the DIDs. A token is for one call of',
  'one method: put the caller and the method of the example in place of `alice` and `getConvos`. With curl:',
  '',
  '```sh',
  'SERVICE_URL=http://127.0.0.1:8080',
  'TOKEN=$(npm run -s admin -- dev token --as alice --method getConvos)',
  '```',
  '',
  'In TypeScript, with [`@nightjar/client`](../../packages/client/README.md):',
  '',
  '```ts',
  "import { createApiClient } from '@nightjar/client/api';",
  '',
  "const serviceUrl = 'http://127.0.0.1:8080';",
  'const api = createApiClient({',
  '  serviceUrl,',
  '  async getToken(nsid) {',
  '    const response = await fetch(`${serviceUrl}/dev/token?as=alice&lxm=${nsid}`);',
  '    const { token } = (await response.json()) as { token: string };',
  '    return token;',
  '  },',
  '});',
  '```',
  '',
  'A service in production has no such identities. There the token comes from the PDS of the account, by',
  '`com.atproto.server.getServiceAuth` with the DID of the service as `aud` and the method as `lxm`; [tokens](../tokens.md) has the rules.',
];
