import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jsonProblems } from '#xrpc/input/json-text.ts';
import type { JsonProblem } from '#xrpc/input/json-text.ts';
import { startSampleApp } from './sample-app.ts';
import type { SampleApp } from './sample-app.ts';
import { alice } from './sample-app.ts';

let service: SampleApp;
beforeAll(async () => void (service = await startSampleApp()));
afterAll(() => service.stop());
beforeEach(() => void service.handled.splice(0));

type Body = NonNullable<RequestInit['body']>;

interface ReceivedResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

interface CallOptions {
  readonly method?: string;
  readonly body?: Body;
  readonly headers?: Record<string, string>;
}

async function call(path: string, init: CallOptions = {}): Promise<ReceivedResponse> {
  const response = await fetch(`${service.origin}/xrpc/${path}`, {
    ...init,
    headers: { authorization: 'Bearer alice', ...init.headers },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
}

function post(method: string, body: Body, headers: Record<string, string> = {}): Promise<ReceivedResponse> {
  return call(method, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
}

test('a query gets typed parameters with defaults, and its bytes arrive as padded base64', async () => {
  const response = await call(`com.example.describe?names=${alice}&loud=true&surprise=1`);
  expect(response.status).toBe(200);
  expect(response.json).toEqual({
    caller: alice,
    names: [alice],
    limit: 50,
    loud: true,
    bytes: { $bytes: 'AQIDBA==' },
  });
});

test.each([`names=${alice}&names=did:web:b.example`, `names=${alice},did:web:b.example`])(
  'a list may be repeated or comma-separated: %s',
  async (search) => {
    const response = await call(`com.example.describe?${search}`);
    expect(response.json['names']).toEqual([alice, 'did:web:b.example']);
  },
);

test.each([
  ['limit=0', 'params.limit must be at least 1.'],
  ['limit=101', 'params.limit must be at most 100.'],
  ['limit=SENTINEL', 'params.limit must be an integer.'],
  ['limit=1.5', 'params.limit must be an integer.'],
  ['limit=99999999999999999999', 'params.limit must be an integer.'],
  ['limit=1&limit=2', 'params.limit must be an integer.'],
  ['loud=SENTINEL', 'params.loud must be a boolean.'],
  ['names=SENTINEL', 'params.names[0] must be a valid did.'],
  ['names=did:a:b,did:a:c,did:a:d,did:a:e', 'params.names must have at most 3 items.'],
  ['colour=%00', 'params.colour must be UTF-8 without NUL.'],
  ['colour=%ff', 'params.colour must be UTF-8 without NUL.'],
])('bad parameters %s name the field and the rule, and echo nothing', async (search, message) => {
  const response = await call(`com.example.describe?${search}`);
  expect([response.status, response.json]).toEqual([400, { error: 'InvalidRequest', message }]);
  expect(response.text).not.toContain('SENTINEL');
  expect(service.handled).toEqual([]);
});

test.each([
  [{}, 'input.title is required.'],
  [[], 'input must be an object.'],
  [{ title: 7 }, 'input.title must be a string.'],
  [{ title: 'SENTINEL-SENTINEL-SENTINEL' }, 'input.title must have at most 20 bytes.'],
  [{ title: 'a', body: 'SENTINEL' }, 'input.body must be {"$bytes": base64}.'],
  [{ title: 'a', body: { $bytes: 'SENTINEL!' } }, 'input.body must be {"$bytes": base64}.'],
  [{ title: 'a', body: { $bytes: 'AAAA', more: 1 } }, 'input.body must be {"$bytes": base64}.'],
  [{ title: 'a', items: [{ size: 1 }, { size: -1 }] }, 'input.items[1].size must be at least 0.'],
  [{ title: 'a', items: [{ size: 1.5 }] }, 'input.items[0].size must be an integer.'],
  [{ title: 'a', items: [{}, {}, {}] }, 'input.items must have at most 2 items.'],
  [{ title: 'a', kind: 'SENTINEL' }, 'input.kind must be one of: app, commit.'],
])('a bad body %j names the field and the rule, and echoes nothing', async (body, message) => {
  const response = await post('com.example.store', JSON.stringify(body));
  expect([response.status, response.json]).toEqual([400, { error: 'InvalidRequest', message }]);
  expect(response.text).not.toContain('SENTINEL');
  expect(service.handled).toEqual([]);
});

test('fields that the lexicon does not know are ignored', async () => {
  const response = await post('com.example.store', '{"title":"a","extra":{"nested":[1.5,null]},"$type":"x"}');
  expect([response.status, response.json]).toEqual([200, { title: 'a', sizeBytes: 0 }]);
});

test.each(['+/+/AA==', '+/+/AA', '-_-_AA==', '-_-_AA'])('bytes are read in any base64: %s', async ($bytes) => {
  const response = await post('com.example.store', JSON.stringify({ title: 'a', body: { $bytes } }));
  expect(response.json).toEqual({ title: 'a', sizeBytes: 4, body: { $bytes: '+/+/AA==' } });
});

const deep = (levels: number): string => `{"title":"a","x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const invalidBodies: [string, JsonProblem, Body][] = [
  ['no JSON', 'notJson', '{"title":'],
  ['nothing', 'notJson', ''],
  ['two values', 'notJson', '{"title":"a"}{}'],
  ['a byte order mark', 'notJson', '\ufeff{"title":"a"}'],
  ['bytes that are not UTF-8', 'notUtf8', Buffer.from([...Buffer.from('{"title":"'), 0xff, 0x22, 0x7d])],
  ['a NUL', 'nul', '{"title":"a\\u0000"}'],
  ['a raw NUL', 'notJson', '{"title":"a\0"}'],
  ['half a surrogate pair', 'halfSurrogate', '{"title":"a\\ud800"}'],
  ['33 levels', 'tooDeep', deep(32)],
  ['a million levels', 'tooDeep', `${'['.repeat(1_000_000)}`],
  ['a million values', 'tooManyValues', `{"title":"a","x":[${'0,'.repeat(900_000)}0]}`],
  ['__proto__', 'reservedKey', '{"title":"a","__proto__":{"polluted":true}}'],
  ['__proto__, escaped', 'reservedKey', '{"title":"a","\\u005f_proto__":{"polluted":true}}'],
  ['constructor', 'reservedKey', '{"title":"a","constructor":1}'],
  ['constructor and prototype', 'reservedKey', '{"title":"a","constructor":{"prototype":{"polluted":true}}}'],
  ['prototype in a nested object', 'reservedKey', '{"title":"a","x":[{"prototype":{"polluted":true}}]}'],
];

test.each(invalidBodies)('a body with %s is refused with the text of %s', async (_what, problem, body) => {
  const before = Object.getOwnPropertyNames(Object.prototype);
  const response = await post('com.example.store', body);
  expect([response.status, response.json]).toEqual([400, { error: 'InvalidRequest', message: jsonProblems[problem] }]);
  expect(service.handled).toEqual([]);
  expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
  expect('polluted' in {}).toBe(false);
});

test('32 levels and brackets inside of strings are accepted', async () => {
  expect((await post('com.example.store', deep(31))).status).toBe(200);
  expect((await post('com.example.store', JSON.stringify({ title: '[[', x: '[{"\\'.repeat(5_000) }))).status).toBe(200);
});

test.each([
  [{ 'content-type': 'text/plain' }],
  [{ 'content-type': 'application/x-www-form-urlencoded' }],
  [{ 'content-encoding': 'gzip' }],
])('a body sent as %j is 415', async (headers) => {
  const response = await post('com.example.store', '{"title":"a"}', headers);
  expect([response.status, response.json['error']]).toEqual([415, 'UnsupportedMediaType']);
});

test('the content type may carry a charset and capitals', async () => {
  const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
  expect((await post('com.example.store', '{"title":"a"}', headers)).status).toBe(200);
});

test('a megabyte of bytes is received and sent unchanged', async () => {
  const body = Buffer.alloc(1_000_000, 'privacy ');
  const response = await post(
    'com.example.store',
    JSON.stringify({ title: 'a', body: { $bytes: body.toString('base64') } }),
  );
  expect(response.json['sizeBytes']).toBe(body.length);
  expect(response.json['body']).toEqual({ $bytes: body.toString('base64') });
});

test.each(['com.example.nothing', 'com.example.describe/', '', '__proto__', 'constructor'])(
  'the unknown method "%s" is 501 and not echoed',
  async (method) => {
    const response = await call(method);
    expect([response.status, response.json]).toEqual([
      501,
      { error: 'MethodNotImplemented', message: 'There is no such method. Check its name.' },
    ]);
  },
);

test.each([
  ['POST', 'com.example.describe', 'GET'],
  ['DELETE', 'com.example.describe', 'GET'],
  ['OPTIONS', 'com.example.store', 'POST'],
  ['GET', 'com.example.store', 'POST'],
  ['POST', 'com.example.watch', 'GET'],
])('%s %s is 405 and allows %s', async (method, path, allowed) => {
  const response = await call(path, { method });
  expect([response.status, response.json['error'], response.headers.get('allow')]).toEqual([
    405,
    'MethodNotAllowed',
    allowed,
  ]);
});

test('a URL of 16 KiB passes and a longer one is 414', async () => {
  const withLength = (length: number): string => {
    const start = 'com.example.describe?surprise=';
    return start + 'a'.repeat(length - `/xrpc/${start}`.length);
  };
  expect((await call(withLength(16_384))).status).toBe(200);
  const response = await call(withLength(16_385));
  expect([response.status, response.json['error']]).toEqual([414, 'UriTooLong']);
});

test('errors that a lexicon declares keep their name, status and detail', async () => {
  const lost = await post('com.example.fail', '{"how":"declared"}');
  expect([lost.status, lost.json['error'], lost.json['currentEpoch']]).toEqual([409, 'EpochMismatch', 7]);
  const busy = await post('com.example.fail', '{"how":"busy"}');
  expect([busy.status, busy.json['error'], busy.headers.get('retry-after')]).toEqual([429, 'TooManyConnections', '5']);
  const later = await post('com.example.fail', '{"how":"general"}');
  expect([later.status, later.json['error'], later.headers.get('retry-after')]).toEqual([
    503,
    'ServiceUnavailable',
    '3',
  ]);
});

test.each(['unexpected', 'undeclared', 'bad output'])(
  '%s: a 500 has a fixed text, and the log has the place of the error and not its text',
  async (how) => {
    service.logLines.splice(0);
    const response = await post('com.example.fail', JSON.stringify({ how }));
    expect([response.status, response.json]).toEqual([
      500,
      { error: 'InternalServerError', message: 'Something went wrong on the server. Try again later.' },
    ]);
    expect(service.logLines).toHaveLength(1);
    const line = JSON.parse(service.logLines[0] ?? '{}');
    expect(line.event).toBe('request_failed');
    expect(line.requestId).toBe(response.headers.get('x-request-id'));
    expect(service.logLines.join('')).not.toMatch(/secret|did:plc|NotAdmin/);
  },
);

test('equal errors have equal bodies; only X-Request-Id differs', async () => {
  const [first, second] = [await call('com.example.nothing'), await call('com.example.nothing')];
  expect(first.text).toBe(second.text);
  expect(first.headers.get('x-request-id')).not.toBe(second.headers.get('x-request-id'));
});

test('every response has the security and rate limit headers, and none sets a cookie', async () => {
  const responses = [
    await call('com.example.describe'),
    await call('com.example.nothing'),
    await call('com.example.describe?limit=0'),
    await call('com.example.describe', { headers: { authorization: 'Bearer mallory' } }),
    await call('com.example.watch'),
    await post('com.example.fail', '{"how":"unexpected"}'),
  ];
  expect(responses.map(({ status }) => status)).toEqual([200, 501, 400, 401, 426, 500]);
  for (const { headers } of responses) {
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/);
    expect(headers.get('ratelimit-limit')).toBe('10000');
    expect(headers.get('ratelimit-policy')).toBe('10000;w=60');
    expect(Number(headers.get('ratelimit-remaining'))).toBeGreaterThan(9_000);
    expect(Math.abs(Number(headers.get('ratelimit-reset')) * 1000 - Date.now())).toBeLessThan(120_000);
    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('x-powered-by')).toBeNull();
  }
});

test('each response is observed once, under names from closed lists', async () => {
  service.observed.splice(0);
  await call('com.example.describe');
  await call('com.example.secretword');
  await call('com.example.describe?limit=0');
  expect(service.observed.map(({ method, status, error }) => [method, status, error])).toEqual([
    ['com.example.describe', 200, 'none'],
    ['unknown', 501, 'MethodNotImplemented'],
    ['com.example.describe', 400, 'InvalidRequest'],
  ]);
});

test('a refusal by a quota is observed with its name, and other errors without one', async () => {
  const small = await startSampleApp({ caller: 1 });
  const url = `${small.origin}/xrpc/com.example.describe`;
  const headers = { authorization: 'Bearer alice' };
  for (let nth = 0; nth < 2; nth++) await fetch(url, { headers });
  await fetch(url, { headers: { authorization: 'Bearer mallory' } });
  await small.stop();
  expect(small.observed.map(({ status, quota }) => [status, quota])).toEqual([
    [200, undefined],
    [429, 'callerDefault'],
    [401, undefined],
  ]);
});
