import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { edgeErrors } from '#edge/edge-error.ts';
import { edgeTimeouts } from '#edge/timeouts.ts';
import { startSampleApp } from '../xrpc/sample-app.ts';
import type { SampleApp } from '../xrpc/sample-app.ts';
import { problemOf, runCase } from './http-case.ts';
import type { HttpCase, Outcome } from './http-case.ts';
import { httpCorpus } from './http-corpus.ts';

const hangMs = 2_000;
const handlersByStatus: Readonly<Record<string, number>> = { 101: 1, 200: 1 };
const securityHeaders = [
  'cache-control',
  'content-security-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'strict-transport-security',
  'x-content-type-options',
];

let service: SampleApp;
let withShortTimeouts: SampleApp;
const namesBefore = Object.getOwnPropertyNames(Object.prototype).join();
const refusals = new Set<string>();

beforeAll(async () => {
  const short = { headersMs: 600, requestMs: 30_000, checkEveryMs: 100, bodyGraceMs: 600 };
  service = await startSampleApp();
  withShortTimeouts = await startSampleApp({ timeouts: { ...edgeTimeouts, ...short } });
});
afterAll(async () => {
  await service?.stop();
  await withShortTimeouts?.stop();
});

async function attack(httpCase: HttpCase): Promise<Outcome> {
  const target = httpCase.isSlow ? withShortTimeouts : service;
  target.handled.splice(0);
  const outcome = await runCase({ host: '127.0.0.1', port: target.port }, httpCase, hangMs);
  expect(problemOf(httpCase, outcome)).toBeUndefined();
  expect(outcome.waitedMs, 'hangs').toBeLessThan(hangMs);
  const { expected } = httpCase;
  expect(target.handled, 'handlers that ran').toHaveLength(handlersByStatus[expected.status] ?? 0);
  return outcome;
}

async function expectToRespond(): Promise<void> {
  for (const { origin } of [service, withShortTimeouts]) {
    const response = await fetch(`${origin}/xrpc/com.example.describe`, { headers: { authorization: 'Bearer alice' } });
    expect(response.status).toBe(200);
    await response.text();
  }
}

describe.each([...new Set(httpCorpus.map(({ group }) => group))])('%s', (group) => {
  test.each(httpCorpus.filter((httpCase) => httpCase.group === group))('$name', async (httpCase) => {
    const { responses, isClosed } = await attack(httpCase);
    const [first] = responses;
    if (first === undefined || first.status < 400) return;
    const { error } = JSON.parse(first.body === '' ? '{"error":"none"}' : first.body) as { error: string };
    refusals.add(error);
    expect(securityHeaders.filter((name) => !first.headers.has(name))).toEqual([]);
    expect(['set-cookie', 'server', 'x-powered-by'].filter((name) => first.headers.has(name))).toEqual([]);
    expect(first.headers.get('connection') === 'close' ? isClosed : true).toBe(true);
  });

  test('the service still responds', expectToRespond);
});

test('the corpus has 80 attacks, no name twice, and covers every error of the edge', () => {
  const names = httpCorpus.map(({ group, name }) => `${group}: ${name}`);
  expect(new Set(names).size).toBe(names.length);
  expect(httpCorpus.filter(({ group }) => group !== 'good').length).toBeGreaterThanOrEqual(80);
  const uncovered = Object.keys(edgeErrors).filter((name) => !refusals.has(name));
  expect(uncovered, 'responses.test.ts covers it').toEqual(['InternalServerError']);
});

test('no prototype has changed, and nothing was logged', () => {
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(namesBefore);
  expect('polluted' in {}).toBe(false);
  expect([...service.logLines, ...withShortTimeouts.logLines]).toEqual([]);
});
