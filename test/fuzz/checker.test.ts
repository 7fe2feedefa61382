import { EventEmitter } from 'node:events';
import { l } from '@atproto/lex-schema';
import { describe, expect, test } from 'vitest';
import type { AppError } from '#platform/errors.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { fuzzFraming } from './framing-fuzz.ts';
import { soundFields, startPlantedService, storeInput, storeMethod, storeOutputFits } from './planted-defect.ts';
import type { Defect } from './planted-defect.ts';
import { watchProcess } from './process-watch.ts';
import { runCases } from './run-cases.ts';
import type { MethodReport } from './run-cases.ts';
import { createCaseSender } from './send-case.ts';
import { shrink } from './shrink.ts';

/** Fuzzes a service with this defect, with fewer cases than the test run sends to each method. */
async function fuzz(defect: Defect): Promise<MethodReport> {
  const service = await startPlantedService(defect);
  const sender = createCaseSender(service.origin, 8);
  try {
    return await runCases(
      {
        sender,
        callers: async () => [{ validInput: storeInput, pool: { dids: [], fields: {} }, token: async () => undefined }],
        rules: () => ({ outputFits: storeOutputFits, durationMsMax: 3_000 }),
      },
      storeMethod,
      { cases: 120, seed: 1, inFlight: 8 },
    );
  } finally {
    sender.close();
    await service.stop();
  }
}

const problemsOf = async (defect: Defect): Promise<string> =>
  (await fuzz(defect)).violations.map(({ about, problem }) => `${about}: ${problem}`).join('\n');

test('a service that follows its lexicon has no violations', async () => {
  const report = await fuzz({});
  expect(report.violations).toEqual([]);
  expect(report.accepted).toBeGreaterThan(20);
});

const { title, size, isLoud, when, kind, body, owners } = soundFields;
const did = l.string({ format: 'did' });
/** Each field without one of its rules. */
const unenforced: readonly (readonly [string, Record<string, l.Validator>])[] = [
  ['required at title', { title: l.optional(title) }],
  ['required at size', { size: l.optional(size) }],
  ['maxLength at title', { title: l.string({ minLength: 2 }) }],
  ['minLength at title', { title: l.string({ maxLength: 20 }) }],
  ['minimum at size', { size: l.integer({ maximum: 10 }) }],
  ['maximum at size', { size: l.integer({ minimum: 0 }) }],
  ['format at when', { when: l.optional(l.string()) }],
  ['enum at kind', { kind: l.optional(l.string()) }],
  ['maxLength at body', { body: l.optional(l.bytes()) }],
  ['minLength at owners', { owners: l.optional(l.array(did, { maxLength: 3 })) }],
  ['maxLength at owners', { owners: l.optional(l.array(did, { minLength: 1 })) }],
  ['format at owners.0', { owners: l.optional(l.array(l.string(), { minLength: 1, maxLength: 3 })) }],
  ...Object.entries({ title, size, isLoud, when, kind, body, owners }).map(
    ([name]) => [`type at ${name}`, { [name]: l.unknown() }] as const,
  ),
];

describe('a rule that the service does not enforce is reported', () => {
  test.for(unenforced)('%s', async ([rule, fields]) => {
    expect(await problemsOf({ fields })).toContain(`${rule}: accepted what breaks the schema`);
  });
});

const refuse = (error: AppError): never => {
  throw error;
};

describe('a response that does not follow the contract is reported', () => {
  const json = { 'Content-Type': 'application/json' };
  test.for<readonly [string, Defect, string]>([
    ['a 5xx', { handle: () => refuse(new TypeError('secret') as never) }, 'status 500'],
    ['a limit tighter than the lexicon', { fields: { title: l.string({ maxLength: 19 }) } }, 'refused what fits'],
    [
      'an undeclared name',
      respondingWith(400, { error: 'Surprise', message: 'No.' }),
      'undeclared error name Surprise',
    ],
    [
      'a name that gives away too much',
      respondingWith(403, { error: 'Unauthorized', message: 'No.' }),
      'should never be sent',
    ],
    [
      'a field too many',
      respondingWith(400, { error: 'InvalidRequest', message: 'No.', at: 'x.ts:1' }),
      'not {error, message}',
    ],
    ['a response without a field', respondingWith(200, { title: 'x' }), 'does not fit its lexicon'],
    ['a redirect', respondingWith(302, {}), 'neither a success nor a refusal'],
    [
      'an echo',
      {
        respond: (response, sent) =>
          void response
            .writeHead(400, json)
            .end(JSON.stringify({ error: 'InvalidRequest', message: `No ${titleIn(sent)}` })),
      },
      'repeats the input',
    ],
    [
      'HTML',
      { respond: (response) => void response.writeHead(400, { 'Content-Type': 'text/html' }).end('<h1>No</h1>') },
      'not {error, message}',
    ],
    ['a closed connection', { respond: (response) => void response.destroy() }, 'no response'],
  ])('%s', async ([, defect, problem]) => {
    expect(await problemsOf(defect)).toContain(problem);
  });

  test('one value in a thousand that breaks a handler, shown by the smallest input that does it', async () => {
    const { violations } = await fuzz({ handle: (input) => input['size'] === 10 && refuse(new Error('x') as never) });
    expect(violations[0]?.problem).toContain('status 500');
    const shown = JSON.parse(violations[0]?.request ?? 'null') as Record<string, unknown>;
    expect(Object.keys(shown).toSorted()).toEqual(['size', 'title']);
  });
});

function respondingWith(status: number, body: object): Defect {
  return {
    respond: (response) =>
      void response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body)),
  };
}

function titleIn(body: Buffer): string {
  return /"title":"([^"]*)"/.exec(body.toString('utf8'))?.[1] ?? '';
}

test('unhandled rejections, uncaught exceptions and logged failures are each reported once', () => {
  const lines: string[] = [];
  const logger = createLogger('trace', { write: (line) => void lines.push(line) });
  const emitter = new EventEmitter();
  const watch = watchProcess(emitter, lines);
  logger.log('server_listening', { port: 1 });
  expect(watch.newProblems()).toEqual([]);
  emitter.emit('unhandledRejection', new Error('a'));
  emitter.emit('uncaughtException', new Error('b'));
  logger.log('background_failed', { part: 'tail', errorClass: 'Error' });
  logger.log('request_failed', { errorClass: 'Error' });
  expect(watch.newProblems()).toEqual([
    'unhandled rejection: Error: a',
    'uncaught exception: Error: b',
    expect.stringContaining('background_failed'),
    expect.stringContaining('request_failed'),
  ]);
  expect(watch.newProblems()).toEqual([]);
  watch.stop();
});

test('shrinking leaves only the parts that make the input fail', async () => {
  const input = { a: [1, { b: 'x'.repeat(100), c: 'needle' }, 3], d: { e: true } };
  const smallest = await shrink(input, async (smaller) => JSON.stringify(smaller).includes('needle'));
  expect(smallest).toEqual({ a: [{ c: 'needle' }] });
});

describe('an MLS parser that violates its contract is reported', () => {
  test.for<readonly [string, (bytes: Uint8Array) => unknown, string]>([
    ['throws something else', (bytes) => bytes[0] === 0 && refuse(new RangeError('x') as never), 'threw RangeError'],
    [
      'looks beyond its input',
      (bytes) => new Uint8Array(bytes.buffer)[0] === 0 && refuse(new Error() as never),
      'threw',
    ],
    ['returns bytes from beyond', (bytes) => ({ id: new Uint8Array(bytes.buffer, 0, 4) }), 'from outside its input'],
    [
      'takes long',
      () => {
        for (const endMs = performance.now() + 2; performance.now() < endMs;);
      },
      'µs',
    ],
  ])('one that %s', async ([, planted, problem]) => {
    const { violations } = await fuzzFraming({ seed: 1, count: 20, moreReaders: { planted } });
    expect(violations.join('\n')).toContain(
      `planted ${problem}`.replace('planted µs', 'µs').replace('planted from', 'from'),
    );
  });
});

test('20,000 mutated MLS structures cause only MlsFormatErrors, no reads outside the input, and take under 1 ms each', async () => {
  const report = await fuzzFraming({
    seed: Number(new Date().toISOString().slice(0, 10).replaceAll('-', '')),
    count: 20_000,
  });
  expect(report.violations).toEqual([]);
  const unread = Object.values(report.unreadByTsMls).reduce((sum, count) => sum + count, 0);
  expect(unread / report.compared, 'inputs that the service accepts and ts-mls does not').toBeLessThan(0.03);
  expect(Object.values(report.accepted).every((count) => count > 50)).toBe(true);
}, 60_000);
