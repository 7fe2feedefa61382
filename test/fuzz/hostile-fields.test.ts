import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { required } from '#platform/errors.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { fuzzEnvironment, FuzzFixtures } from './fuzz-fixtures.ts';
import { hostileStrings } from './hostile-strings.ts';
import { readMethods } from './lexicon-schema.ts';
import type { FieldSchema, FuzzMethod, Json, JsonObject } from './lexicon-schema.ts';
import type { FuzzCaller } from './run-cases.ts';
import { replaceAt } from './schema-rules.ts';
import type { Path } from './schema-rules.ts';
import { canary } from './wild-values.ts';

/** With HOSTILE=all every field gets every string; otherwise a third of them, which changes every day. */
const isWhole = process.env['HOSTILE'] === 'all';
const today = Number(new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const share = 3;
const answerMsMax = 2_000;
/** Longer than every limit except those of messages; the larger ones are sent in the first field only. */
const longStrings = [70_000, 1_000_000].map((length) => 'A'.repeat(length));
const hugeStrings = [9_000_000, 16_000_000].map((length) => 'A'.repeat(length));
const longTexts = [...longStrings, ...hugeStrings];
const methods = readMethods(join(projectRoot, 'lexicons/blue/catbird/mls'));

interface HostileInput {
  /** An input whose field under test holds this text. */
  readonly inputWith: (text: string) => Json;
  readonly text: string;
}

let bed: TestBed;
let pds: LoopbackPds;
let fixtures: FuzzFixtures;
beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: fuzzEnvironment });
  fixtures = new FuzzFixtures(bed, pds);
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

/** The paths of all text fields in an input of this schema; bytes are text on the wire. */
function textPaths(schema: FieldSchema, path: Path = []): Path[] {
  switch (schema.type) {
    case 'string':
      return [path];
    case 'bytes':
      return [[...path, '$bytes']];
    case 'array':
      return textPaths(schema.items, [...path, 0]);
    case 'object':
      return Object.entries(schema.properties).flatMap(([name, field]) => textPaths(field, [...path, name]));
    case 'integer':
    case 'boolean':
      return [];
  }
}

function stringsFor(fieldNo: number): readonly string[] {
  const chosen = hostileStrings.filter((_, at) => isWhole || (at + fieldNo + today) % share === 0);
  return [...chosen, ...longStrings, ...(fieldNo === 0 ? hugeStrings : [])];
}

/** Encodes each of the long strings once: that takes longer than to send it. */
function remembered(encode: (text: string) => string): (text: string) => string {
  const known = new Map(longTexts.map((text) => [text, encode(text)]));
  return (text) => known.get(text) ?? encode(text);
}

const asQueryValue = remembered((text) => new URLSearchParams([['', text]]).toString().slice(1));
const asJson = remembered((text) => JSON.stringify(text));
const standIn = 'stands for a long string';

/** The JSON of `input`, which has `text` in one of its fields. */
function jsonOf(input: (text: string) => Json, text: string): string {
  const [before, after] = JSON.stringify(input(standIn)).split(JSON.stringify(standIn));
  return `${before}${asJson(text)}${after}`;
}

async function requestOf(
  method: FuzzMethod,
  caller: FuzzCaller,
  { inputWith, text }: HostileInput,
): Promise<[url: string, init: RequestInit]> {
  const url = `${bed.server().url}/xrpc/${method.nsid}`;
  const token = await caller.token();
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  if (method.kind === 'procedure') {
    return [
      url,
      { method: 'POST', body: jsonOf(inputWith, text), headers: { ...headers, 'content-type': 'application/json' } },
    ];
  }
  const parameters = Object.entries(inputWith(text) as JsonObject).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly Json[]) : [value]).map((item) => [
      name,
      typeof item === 'string' ? item : JSON.stringify(item),
    ]),
  );
  if (caller.ticket !== undefined) parameters.push(['ticket', await caller.ticket()]);
  const search = parameters.map(([name = '', value = '']) => `${asQueryValue(name)}=${asQueryValue(value)}`).join('&');
  return [`${url}?${search}`, { headers }];
}

/** Reads the first event of a stream, which has no end; the event shows how the cursor was handled. */
async function firstEventOf(response: Response): Promise<string> {
  const reader = required(response.body, 'body').getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return Buffer.from(value ?? []).toString('utf8');
}

/** Returns the problem of the response to `input`, if there is one. */
async function problemOf(method: FuzzMethod, caller: FuzzCaller, input: HostileInput): Promise<string | undefined> {
  const [url, init] = await requestOf(method, caller, input);
  const startedMs = performance.now();
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(4 * answerMsMax) });
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const text = isStream ? await firstEventOf(response) : await response.text();
    const tookMs = Math.round(performance.now() - startedMs);
    if (tookMs > answerMsMax) return `${response.status} after ${tookMs} ms`;
    if (response.status === 200) return undefined;
    if (response.status >= 500) return `${response.status} ${text}`;
    if (!/^\{"error":"\w+","message":".+\}$/.test(text)) return `not a refusal in words: ${text}`;
    return text.includes(canary) ? `repeats the input: ${text}` : undefined;
  } catch (error) {
    const { name, cause } = error as Error;
    return `no response: ${name} ${String((cause as NodeJS.ErrnoException | undefined)?.code)}`;
  }
}

describe('every text in every field gets a response in time, with a readable message', () => {
  test.for(methods.filter(({ input }) => input !== undefined && textPaths(input).length > 0))(
    '$name',
    { timeout: 240_000 },
    async (method) => {
      const [caller] = await fixtures.callers(method);
      const problems: string[] = [];
      for (const [fieldNo, path] of textPaths(required(method.input, 'input')).entries()) {
        const inputWith = (value: string): Json =>
          replaceAt(required(caller, 'caller').validInput, path, { value }, () => ({}));
        for (const text of stringsFor(fieldNo)) {
          const problem = await problemOf(method, required(caller, 'caller'), { inputWith, text });
          const shown = `${JSON.stringify(text.slice(0, 40))} (${text.length})`;
          if (problem !== undefined) problems.push(`${path.join('.')} ${shown}: ${problem}`);
        }
      }
      expect(problems).toEqual([]);
    },
  );
});
