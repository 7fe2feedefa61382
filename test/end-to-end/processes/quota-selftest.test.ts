import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { childEnvironment } from '../../support/processes/child-environment.ts';
import { startChildServer } from '../../support/processes/child-server.ts';
import type { ChildServer } from '../../support/processes/child-server.ts';
import { createTestDatabase } from '../../support/postgres/database.ts';
import type { TestDatabase } from '../../support/postgres/database.ts';
import { testEnvironment } from '../../support/test-server.ts';
import { projectRoot } from '../../conventions/source-tree.ts';

let database: TestDatabase;
const identityKey = newKeyRingText();
const children: ChildServer[] = [];
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 1 });
});
afterAll(async () => {
  await Promise.all(children.map((child) => child.end('SIGTERM')));
  await database.close();
});

async function startServer(env: Readonly<Record<string, string>>): Promise<string> {
  const child = await startChildServer('server', {
    ...testEnvironment({ plcUrl: 'http://127.0.0.1:9' }),
    DATABASE_URL: database.url,
    IDENTITY_KEY: identityKey,
    RATE_LIMIT_IP_PER_MINUTE: '60',
    RATE_LIMIT_IP_BURST: '20',
    ...env,
  });
  children.push(child);
  return child.url;
}

interface Run {
  readonly code: number;
  readonly findings: readonly { check: string; ok: boolean; found: string; remedy?: string }[];
  readonly stderr: string;
}

async function runSelftest(url: string): Promise<Run> {
  const args = [join(projectRoot, 'bin/admin.ts'), 'quota', 'selftest', url];
  const done = await promisify(execFile)(process.execPath, args, {
    cwd: projectRoot,
    env: { ...childEnvironment },
  })
    .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }))
    .catch((error: { code: number; stdout: string; stderr: string }) => error);
  const findings = done.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Run['findings'][number]);
  return { code: done.code, findings, stderr: done.stderr };
}

test('the self-test passes on a running server, from outside and without credentials', async () => {
  const { code, findings, stderr } = await runSelftest(await startServer({}));
  expect(findings.filter(({ ok }) => !ok)).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual([
    'answers',
    'headers',
    'burst',
    'refusal',
    'retry-after',
    'client-address',
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a server that trusts every address as a proxy fails, with a remedy', async () => {
  const { code, findings } = await runSelftest(
    await startServer({ TRUSTED_PROXY_CIDRS: '0.0.0.0/0,::/0', TRUSTED_PROXY_HOPS: '1' }),
  );
  expect(code).toBe(1);
  expect(findings.map(({ check, ok }) => [check, ok])).toEqual([
    ['answers', false],
    ['client-address', false],
  ]);
  expect(findings.at(-1)?.remedy).toMatch(/TRUSTED_PROXY_CIDRS/);
});

/** A server that responds like a Nightjar with a wrong set-up in front. */
async function startFakeServer(
  respond: (nth: number, forwardedFor: string | undefined) => FakeResponse,
): Promise<string> {
  let nth = 0;
  const server = createServer((request, response) => {
    const { status, headers, body } = respond(nth++, request.headers['x-real-ip']?.toString());
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface FakeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const resetIn = (seconds: number): string => String(Math.ceil(Date.now() / 1000) + seconds);
const passed = (remaining: number): FakeResponse => ({
  status: 501,
  headers: {
    'RateLimit-Limit': '60',
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': resetIn(1),
    'RateLimit-Policy': '60;w=60',
  },
  body: '{"error":"MethodNotImplemented","message":""}',
});
const refused: FakeResponse = {
  status: 429,
  headers: { ...passed(0).headers, 'Retry-After': '1' },
  body: '{"error":"RateLimitExceeded","message":"The limit address allows 60 requests"}',
};

test.each<[wrong: string, failing: string[], (nth: number, realIp: string | undefined) => FakeResponse]>([
  ['never refuses', ['burst'], () => passed(5)],
  ['admits more than it announces', ['burst'], (nth) => (nth < 40 ? passed(10) : refused)],
  ['refuses what it announced', ['burst'], (nth) => (nth < 5 ? passed(10) : refused)],
  ['refuses for longer than Retry-After says', ['retry-after'], (nth) => (nth < 6 ? passed(5) : refused)],
  ['replaces refusals', ['refusal'], (nth) => (nth < 6 ? passed(5) : { ...refused, body: 'Too many' })],
  ['strips the headers', ['headers'], (nth) => (nth < 6 ? { ...passed(5), headers: {} } : refused)],
  ['trusts X-Real-IP', ['client-address'], (nth, realIp) => (nth < 6 || realIp !== undefined ? passed(5) : refused)],
])('a server that %s fails the check', { concurrent: true }, async (_wrong, failing, respond) => {
  const { code, findings } = await runSelftest(await startFakeServer(respond));
  const failed = findings.filter(({ ok }) => !ok);
  expect(code).toBe(1);
  expect(failed.map(({ check }) => check)).toEqual(expect.arrayContaining(failing));
  expect(failed.every(({ remedy }) => remedy !== undefined)).toBe(true);
});

test('another server, or none, is reported as such', async () => {
  const other = await runSelftest(await startFakeServer(() => ({ status: 200, headers: {}, body: '<html>' })));
  expect([other.code, other.findings.map(({ check, ok }) => [check, ok])]).toEqual([1, [['answers', false]]]);
  const unreachable = await runSelftest('http://127.0.0.1:9');
  expect([unreachable.code, unreachable.stderr.trim()]).toEqual([
    1,
    'The server does not respond. Check the address, and that the server is running.',
  ]);
  expect((await runSelftest('mls.example.org')).stderr).toContain('Give the address of the service');
});
