import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { edgeErrors } from '#edge/edge-error.ts';
import { edgeTimeouts } from '#edge/timeouts.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';
import { problemOf, runCase } from './http-case.ts';
import type { HttpCase, Outcome } from './http-case.ts';
import { httpCorpus } from './http-corpus.ts';

const hangMs = 2_000;
const handlersOf: Readonly<Record<string, number>> = { 101: 1, 200: 1 };
const securityHeaders = [
  'cache-control',
  'content-security-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
];

let service: SampleApp;
let impatient: SampleApp;
const namesBefore = Object.getOwnPropertyNames(Object.prototype).join();
const refusals = new Set<string>();

beforeAll(async () => {
  const quick = { headersMs: 600, requestMs: 30_000, checkEveryMs: 100, bodyGraceMs: 600 };
  service = await startSampleApp();
  impatient = await startSampleApp({ timeouts: { ...edgeTimeouts, ...quick } });
});
afterAll(async () => {
  await service?.stop();
  await impatient?.stop();
});

async function attack(httpCase: HttpCase): Promise<Outcome> {
  const target = httpCase.isSlow ? impatient : service;
  target.handled.splice(0);
  const outcome = await runCase({ host: '127.0.0.1', port: target.port }, httpCase, hangMs);
  expect(problemOf(httpCase, outcome)).toBeUndefined();
  expect(outcome.waitedMs, 'hangs').toBeLessThan(hangMs);
  const { expected } = httpCase;
  expect(target.handled, 'handlers that ran').toHaveLength(handlersOf[expected.status] ?? 0);
  return outcome;
}

async function expectAlive(): Promise<void> {
  for (const { origin } of [service, impatient]) {
    const answer = await fetch(`${origin}/xrpc/com.example.describe`, { headers: { authorization: 'Bearer alice' } });
    expect(answer.status).toBe(200);
    await answer.text();
  }
}

describe.each([...new Set(httpCorpus.map(({ group }) => group))])('%s', (group) => {
  test.each(httpCorpus.filter((httpCase) => httpCase.group === group))('$name', async (httpCase) => {
    const { answers, isClosed } = await attack(httpCase);
    const [first] = answers;
    if (first === undefined || first.status < 400) return;
    const { error } = JSON.parse(first.body === '' ? '{"error":"none"}' : first.body) as { error: string };
    refusals.add(error);
    expect(securityHeaders.filter((name) => !first.headers.has(name))).toEqual([]);
    expect(['set-cookie', 'server', 'x-powered-by'].filter((name) => first.headers.has(name))).toEqual([]);
    expect(first.headers.get('connection') === 'close' ? isClosed : true).toBe(true);
  });

  test('leaves the service alive', expectAlive);
});

test('the corpus has 80 attacks, no name twice, and reaches every refusal of the edge', () => {
  const names = httpCorpus.map(({ group, name }) => `${group}: ${name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(httpCorpus.filter(({ group }) => group !== 'good').length).toBeGreaterThanOrEqual(80);
  const unreached = Object.keys(edgeErrors).filter((name) => !refusals.has(name));
  expect(unreached, 'its own test shows it').toEqual(['InternalServerError']);
});

test('nothing has reached a prototype, and nothing was logged', () => {
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(namesBefore);
  expect('polluted' in {}).toBe(false);
  expect([...service.logLines, ...impatient.logLines]).toEqual([]);
});
