import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readLexicons } from '../../bin/codegen/method-facts.ts';
import type { LexiconFacts } from '../../bin/codegen/method-facts.ts';
import { projectRoot } from '../conventions/source-tree.ts';

const refusal = z.object({
  description: z.string(),
  content: z.object({
    'application/json': z.object({
      schema: z.object({
        allOf: z.tuple([
          z.unknown(),
          z.object({ properties: z.object({ error: z.object({ enum: z.array(z.string()) }) }) }),
        ]),
      }),
    }),
  }),
});
const operation = z.object({
  operationId: z.string(),
  description: z.string(),
  parameters: z.array(z.object({ name: z.string(), required: z.boolean() })).default([]),
  requestBody: z.unknown().optional(),
  responses: z.record(z.string(), z.looseObject({ $ref: z.string().optional() })),
});
const document = z.object({
  info: z.object({ description: z.string() }),
  paths: z.record(z.string(), z.partialRecord(z.enum(['get', 'post']), operation)),
  components: z.object({ responses: z.record(z.string(), refusal) }),
});

/** A WebSocket responds with 101, which is the only success of its method. */
const withoutStatus200 = '#/paths/~1xrpc~1blue.catbird.mls.subscribeConvoEvents/get/responses';

let text: string;
let lexicons: readonly LexiconFacts[];

beforeAll(async () => {
  text = await readFile(join(projectRoot, 'docs/openapi.json'), 'utf8');
  lexicons = await readLexicons(projectRoot);
});

/** The problems that the recommended rules of the linter find, warnings included. */
async function problemsIn(source: string): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended'] });
  const problems = await lintFromString({ source, config, absoluteRef: 'openapi.json' });
  return problems
    .filter(({ ruleId, location }) => ruleId !== 'operation-2xx-response' || location[0]?.pointer !== withoutStatus200)
    .map(({ ruleId, message }) => `${ruleId}: ${message}`);
}

describe('the linter', { timeout: 120_000 }, () => {
  test('finds nothing in the document', async () => {
    expect(await problemsIn(text)).toEqual([]);
  });

  test.each([
    [
      'a reference to nothing',
      'no-unresolved-refs',
      '"#/components/schemas/defs.convoView"',
      '"#/components/schemas/defs.nothing"',
    ],
    ['a type that does not exist', 'struct', '"type": "integer"', '"type": "whole number"'],
    ['an example that its schema does not allow', 'no-invalid-media-type-examples', '"seq": 1,', '"seq": "one",'],
    ['a parameter whose example is not allowed', 'no-invalid-parameter-examples', '"example": 50', '"example": 5000'],
    [
      'a name that is used twice',
      'operation-operationId-unique',
      '"operationId": "addMembers"',
      '"operationId": "commit"',
    ],
    ['an undefined token', 'security-defined', '"subscriptionTicket": []', '"subscriptionKey": []'],
  ])('finds %s', async (_what, rule, correct, wrong) => {
    expect(text).toContain(correct);
    const problems = await problemsIn(text.replaceAll(correct, wrong));
    expect(problems.filter((problem) => problem.startsWith(`${rule}: `)).length).toBeGreaterThan(0);
  });
});

type OpenApi = z.infer<typeof document>;

/** Returns the names of the errors that the document lacks in the response of their status, or that have no action there. */
function missingErrors({ paths, components }: OpenApi, { id, method }: LexiconFacts): string[] {
  const responses = Object.values(paths[`/xrpc/${id}`] ?? {})[0]?.responses ?? {};
  const sent = method?.errors.filter(({ isSent, status }) => isSent && status !== undefined) ?? [];
  const lost = sent.filter(({ name, status, action }) => {
    const response = responses[String(status)];
    const shared = components.responses[response?.$ref?.split('/').at(-1) ?? ''];
    const { description, content } = shared ?? refusal.parse(response);
    const [, { properties }] = content['application/json'].schema.allOf;
    return !properties.error.enum.includes(name) || !description.includes(action);
  });
  const ofEveryMethod = ['400', '401', '429', '500', '503'].filter((status) => !(status in responses));
  return [...lost.map(({ name }) => name), ...ofEveryMethod];
}

test('every error of every method is a response of its status, with what to do', () => {
  const openApi = document.parse(JSON.parse(text));
  const methods = lexicons.filter(({ method }) => method !== undefined);
  expect(
    methods.flatMap((lexicon) => missingErrors(openApi, lexicon).map((name) => `${lexicon.name}: ${name}`)),
  ).toEqual([]);
  const planted = document.parse(JSON.parse(text.replaceAll('"EpochMismatch"', '"Mismatch"')));
  expect(methods.flatMap((lexicon) => missingErrors(planted, lexicon))).toContain('EpochMismatch');
});

test('operations have the parameters, bodies and quotas of their methods', () => {
  const { paths } = document.parse(JSON.parse(text));
  for (const { id, name, method } of lexicons) {
    if (method === undefined) continue;
    const verb = method.type === 'procedure' ? 'post' : 'get';
    const { parameters, requestBody, description, operationId } = operation.parse(paths[`/xrpc/${id}`]?.[verb]);
    const fields = Object.keys(z.looseObject({}).parse(method.parameters?.['properties'] ?? {}));
    expect(parameters.map((parameter) => parameter.name)).toEqual(fields.filter((field) => field !== 'ticket'));
    expect([name, requestBody !== undefined]).toEqual([name, method.input !== undefined]);
    expect(description).toContain(method.quota);
    expect(operationId).toBe(name);
  }
});

test('the document says how the subscription is opened', () => {
  expect(document.parse(JSON.parse(text)).info.description).toContain('subscribeConvoEvents');
});
