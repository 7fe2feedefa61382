import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { authErrors } from '#auth/auth-error.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { createQuota } from '#quota/table/charge.ts';
import type { Endpoint } from '#xrpc/endpoint.ts';
import { createAdmission } from '#xrpc/overload/admission.ts';
import { createXrpcResponder } from '#xrpc/respond-to-xrpc.ts';
import type { RespondToXrpc } from '#xrpc/respond-to-xrpc.ts';
import { sampleAddressLimiter, startSampleApp, sampleEndpoints } from './sample-app.ts';
import type { SampleApp } from './sample-app.ts';

let service: SampleApp;
afterEach(() => service?.stop());

function describe(authorization: string): Promise<Response> {
  return fetch(`${service.origin}/xrpc/com.example.describe`, { headers: { authorization } });
}

test('without a valid token no handler runs and no body is checked', async () => {
  service = await startSampleApp();
  const challenges: [Record<string, string>, string][] = [
    [{}, 'Bearer realm="nightjar"'],
    [
      { authorization: 'Bearer mallory' },
      `Bearer realm="nightjar", error="invalid_token", error_description="${authErrors.BadJwt}", name="BadJwt"`,
    ],
  ];
  for (const [headers, challenge] of challenges) {
    const init = { method: 'POST', body: 'not even JSON', headers: { ...headers, 'content-type': 'text/plain' } };
    const response = await fetch(`${service.origin}/xrpc/com.example.store`, init);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(challenge);
  }
  expect(service.handled).toEqual([]);
});

test('a client address is charged for unauthenticated requests, before any token is checked', async () => {
  service = await startSampleApp({ address: 60, addressBurst: 3 });
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 3; attempt++) statuses.push((await describe('Bearer mallory')).status);
  const refused = await describe('Bearer alice');
  expect([...statuses, refused.status]).toEqual([401, 401, 401, 429]);
  expect(await refused.json()).toEqual({
    error: 'RateLimitExceeded',
    message: 'The limit address allows 60 requests in 60 seconds. Wait as long as Retry-After says.',
  });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(refused.headers.get('ratelimit-remaining')).toBe('0');
  expect(refused.headers.get('ratelimit-policy')).toBe('60;w=60');
});

test('unknown methods and wrong HTTP methods are charged to the client address too', async () => {
  service = await startSampleApp({ address: 60, addressBurst: 2 });
  const unknown = await fetch(`${service.origin}/xrpc/com.example.nothing`);
  const wrongVerb = await fetch(`${service.origin}/xrpc/com.example.store`);
  const refused = await describe('Bearer alice');
  expect([unknown.status, wrongVerb.status, refused.status]).toEqual([501, 405, 429]);
});

test('a verified token refunds the client address, and the account is charged', async () => {
  service = await startSampleApp({ address: 60, addressBurst: 2, caller: 5 });
  const responses: Response[] = [];
  for (let attempt = 0; attempt < 6; attempt++) responses.push(await describe('Bearer alice'));
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  expect(responses.map(({ headers }) => headers.get('ratelimit-remaining'))).toEqual(['4', '3', '2', '1', '0', '0']);
  expect(await responses[5]?.json()).toMatchObject({ error: 'RateLimitExceeded', message: /callerDefault/ });
  expect(service.handled).toHaveLength(5);
  expect((await describe('Bearer mallory')).status).toBe(401);
});

test('the slot of a request is free again when the request fails in any step', async () => {
  service = await startSampleApp({ requestsInProgress: 1, caller: 2 });
  const fail = (): Promise<Response> =>
    fetch(`${service.origin}/xrpc/com.example.fail`, {
      method: 'POST',
      body: '{"how":"unexpected"}',
      headers: { authorization: 'Bearer alice', 'content-type': 'application/json' },
    });
  const statuses: number[] = [];
  for (const call of [() => describe('Bearer mallory'), fail, () => describe('Bearer alice'), fail]) {
    statuses.push((await call()).status);
  }
  expect(statuses).toEqual([401, 500, 200, 429]);
});

test('different quotas are independent', async () => {
  service = await startSampleApp({ caller: 1 });
  expect([(await describe('Bearer alice')).status, (await describe('Bearer alice')).status]).toEqual([200, 429]);
  const stored = await fetch(`${service.origin}/xrpc/com.example.store`, {
    method: 'POST',
    body: '{"title":"a"}',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json' },
  });
  expect(stored.status).toBe(200);
});

test.each([
  ['named by Content-Length', { 'content-length': '3000000' }],
  ['chunked', { 'transfer-encoding': 'chunked' }],
])('a body over the limit is 413 when %s, and no handler runs', async (_how, headers) => {
  service = await startSampleApp();
  const sending = request(`${service.origin}/xrpc/com.example.store`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json', ...headers },
  });
  // The server may close the connection while the client still writes.
  sending.on('error', () => undefined);
  sending.write(`{"title":"a","x":"${'a'.repeat(2_100_000)}`);
  const [response]: IncomingMessage[] = await once(sending, 'response');
  const text = response === undefined ? '' : (await response.toArray()).join('');
  sending.destroy();
  expect([response?.statusCode, response?.headers.connection]).toEqual([413, 'close']);
  expect(JSON.parse(text)).toMatchObject({ error: 'PayloadTooLarge' });
  expect(service.handled).toEqual([]);
});

test('a client that closes in the middle of its body leaves no error in the log', async () => {
  service = await startSampleApp();
  const sending = request(`${service.origin}/xrpc/com.example.store`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json', 'content-length': '1000' },
  });
  sending.on('error', () => undefined);
  sending.write('{"title":');
  await sleep(50);
  sending.destroy();
  while (service.observed.length === 0) await sleep(5);
  expect(service.observed[0]).toMatchObject({ status: 400, error: 'InvalidRequest' });
  expect(service.logLines).toEqual([]);
});

test('an endpoint without lexicon, auth or quota, or with the name of another, is rejected at the start', () => {
  const [endpoint, ...others] = sampleEndpoints([]);
  const quota = createQuota({ config: {} as Parameters<typeof createQuota>[0]['config'], clock: systemClock });
  const create = (endpoints: readonly Endpoint[]): RespondToXrpc =>
    createXrpcResponder({
      endpoints,
      admission: createAdmission({ inProgressMax: 1 }),
      authenticate: () => Promise.reject(new Error('no request')),
      quota,
      addressLimiter: sampleAddressLimiter(quota),
      logger: createLogger('silent'),
      clock: systemClock,
    });
  if (endpoint === undefined) throw new Error('no endpoint');
  expect(() => create([endpoint, ...others])).not.toThrow();
  for (const missing of ['nsid', 'auth', 'quota']) {
    expect(() => create([{ ...endpoint, [missing]: undefined }])).toThrow(/lacks/);
  }
  expect(() => create([endpoint, endpoint])).toThrow(/same name/);
});
