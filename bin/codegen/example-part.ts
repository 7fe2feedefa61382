import { z } from 'zod';
import { exampleRequest, isPartList, isVariable, printPart } from './example-code.ts';
import type { ExampleRequest, ExampleVariable, Part, PrintStyle } from './example-code.ts';
import { cell } from './lexicon-tables.ts';
import { namespace } from './method-facts.ts';
import type { MethodFacts } from './method-facts.ts';

const field = z.looseObject({
  description: z.string().optional(),
  ref: z.string().optional(),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
});

/** Finds the definition that a reference of a lexicon names. */
export type FindDefinition = (ref: string) => unknown;

const inTypeScript: PrintStyle = {
  value: (value) => (typeof value === 'string' ? quoted(value) : isVariable(value) ? value.name : String(value)),
  field: (name, value) => (name === value ? name : `${name}: ${value}`),
  commaAfterLast: true,
};

/** JSON in a here-document of the shell, which replaces variables and needs `\` in front of other dollar signs. */
const inHereDocument: PrintStyle = {
  value(value) {
    if (!isVariable(value)) return JSON.stringify(value).replaceAll(/[$`\\]/g, String.raw`\$&`);
    return value.isBytes ? `{ "\\$bytes": "$${value.shellName}" }` : `"$${value.shellName}"`;
  },
  field: (name, value) => `"${name}": ${value}`,
  commaAfterLast: false,
};

/** Writes the example of a method in TypeScript and curl, from a call that `test/contract/examples.test.ts` recorded. */
export function examplePart(name: string, method: MethodFacts, find: FindDefinition): string[] {
  const { example } = method;
  const request = exampleRequest(example.request);
  return [
    '',
    '## Example',
    '',
    `The caller is ${upperFirst(example.caller)}. [How do I run the examples?](README.md#how-do-i-run-the-examples) says what \`api\`, \`$SERVICE_URL\` and \`$TOKEN\` are.`,
    ...variableTable(request, method, find),
    '',
    '### In TypeScript',
    '',
    '```ts',
    ...typescriptExample(name, method, request),
    '```',
    '',
    '### With curl',
    '',
    ...(method.type === 'subscription' ? curlNote : []),
    '```sh',
    ...curlExample(name, method, request),
    '```',
    '',
    `### ${isStream(method) ? 'An event' : 'Response'}`,
    '',
    ...(isStream(method) ? ['An event of the stream, with its bytes as in JSON:', ''] : []),
    '```json',
    ...JSON.stringify(example.answer, undefined, 2).split('\n'),
    '```',
  ];
}

const curlNote = [
  'curl shows that the WebSocket opens, and its frames as raw bytes. `$TICKET` is from [getSubscriptionTicket](getSubscriptionTicket.md).',
  '',
];

function isStream({ type, output }: Pick<MethodFacts, 'type' | 'output'>): boolean {
  return type === 'subscription' || output?.encoding === 'text/event-stream';
}

/** The lines of the example in TypeScript. */
function typescriptExample(name: string, method: MethodFacts, request: ExampleRequest): string[] {
  const hasTicket = (part: string): boolean => part !== 'ticket';
  if (!isStream(method))
    return [`const response = await api.call('${name}', ${printPart(request.fields, inTypeScript)});`];
  const transport = method.type === 'subscription' ? 'websocket' : 'server-sent-events';
  const fields = [...request.fields.fields.filter(([key]) => hasTicket(key)), ['transport', transport] as const];
  return [
    "import { openEventStream } from '@nightjar/client/stream';",
    "import { isEvent } from '@nightjar/client/stream-event';",
    '',
    `const stream = openEventStream(api, ${printPart({ fields }, inTypeScript)});`,
    'for await (const event of stream) {',
    '  console.log(event);',
    "  if (isEvent(event, 'messageEvent')) break;",
    '}',
  ];
}

/** The lines of the example for the shell. */
function curlExample(name: string, method: MethodFacts, request: ExampleRequest): string[] {
  const address = `"$SERVICE_URL/xrpc/${namespace}${name}${method.type === 'procedure' ? '' : searchOf(request)}"`;
  const token = '-H "Authorization: Bearer $TOKEN"';
  if (method.type === 'subscription') return webSocketExample(address);
  if (isStream(method)) return [`curl --no-buffer ${address} \\`, `  ${token}`];
  if (method.type === 'query') return [`curl ${address} \\`, `  ${token}`];
  const lines = [`curl -X POST ${address} \\`, `  ${token}`];
  if (method.input === undefined) return lines;
  return [
    `curl ${address} \\`,
    `  ${token} \\`,
    "  -H 'Content-Type: application/json' \\",
    '  --data @- <<END',
    ...printPart(request.fields, inHereDocument).split('\n'),
    'END',
  ];
}

function webSocketExample(address: string): string[] {
  return [
    'curl --http1.1 --include --no-buffer --max-time 10 --output - \\',
    `  ${address} \\`,
    "  -H 'Connection: Upgrade' -H 'Upgrade: websocket' \\",
    "  -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='",
  ];
}

function searchOf({ fields }: ExampleRequest): string {
  const text = (part: Part): string =>
    isVariable(part)
      ? `$${part.shellName}`
      : encodeURIComponent(typeof part === 'string' ? part : JSON.stringify(part));
  const pairs = fields.fields.flatMap(([name, part]) =>
    (isPartList(part) ? part : [part]).map((item) => `${name}=${text(item)}`),
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function variableTable({ variables }: ExampleRequest, method: MethodFacts, find: FindDefinition): string[] {
  if (variables.length === 0) return [];
  return [
    '',
    '| TypeScript | curl | Value |',
    '| --- | --- | --- |',
    ...variables.map((variable) => {
      const inTs = isStream(method) && variable.name === 'ticket' ? '' : `\`${variable.name}\``;
      return `| ${inTs} | \`$${variable.shellName}\` | ${cell(meaningOf(variable, method, find))} |`;
    }),
  ];
}

function meaningOf(variable: ExampleVariable, method: MethodFacts, find: FindDefinition): string {
  const { field: taken, path, isBytes, name } = variable;
  if (taken === undefined) return `DID of ${upperFirst(name.replace(/Did$/, ''))}.`;
  const schema = method.type === 'procedure' ? method.input?.schema : method.parameters;
  return `${descriptionAt(schema, path, find) ?? ''}${isBytes ? ' In the shell it is base64.' : ''}`;
}

/** Returns the description of the field at `path`, or of the list that has it. */
function descriptionAt(schema: unknown, path: ExampleVariable['path'], find: FindDefinition): string | undefined {
  let at = schema;
  let description: string | undefined;
  for (const step of path) {
    const { items, properties } = field.parse(at);
    const found = field.parse(typeof step === 'number' ? items : properties?.[step]);
    description = found.description ?? description;
    at = found.ref === undefined ? found : find(found.ref);
  }
  return description;
}

function quoted(text: string): string {
  return text.includes("'") ? JSON.stringify(text) : `'${text}'`;
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
