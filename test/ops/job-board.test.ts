import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openJobQueue } from '#jobs/queue/queue.ts';
import type { JobQueue } from '#jobs/queue/queue.ts';
import { startAdminListener } from '#ops/admin-listener.ts';
import type { AdminListener } from '#ops/admin-listener.ts';
import { systemClock } from '#platform/clock.ts';
import { createMetrics } from '#platform/metrics/metrics.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

const key = 'a key of this test, long enough';
let database: TestDatabase;
let queue: JobQueue;
let admin: AdminListener;
let writableAdmin: AdminListener;

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 });
  const location = { backend: 'postgres', url: database.url } as const;
  queue = await openJobQueue({ location, clock: systemClock, leaseMs: 1_000, onError: () => undefined });
  await queue.repairSchedules(systemClock.nowMs());
  const metrics = createMetrics({ methods: [], quotas: [], jobs: [] });
  admin = await startAdminListener({ port: 0, metrics });
  writableAdmin = await startAdminListener({ port: 0, metrics });
  writableAdmin.showJobs({ queue: queue.queue, key, isWritable: true });
});
afterAll(async () => {
  await admin.close();
  await writableAdmin.close();
  await queue.close();
  await database.close();
});

async function fetchPage(
  path: string,
  request: { password?: string; method?: string; headers?: Record<string, string>; from?: AdminListener } = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const { password, method = 'GET', from = admin } = request;
  const authorization = password === undefined ? {} : { authorization: `Basic ${btoa(`admin:${password}`)}` };
  const headers = { ...authorization, ...request.headers };
  const response = await fetch(`http://127.0.0.1:${from.port}${path}`, { method, headers });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

test('without a key in the configuration there is no job page', async () => {
  expect((await fetchPage('/jobs')).status).toBe(404);
  expect((await fetchPage('/jobs/api/queues', { password: key })).status).toBe(404);
});

describe('with a key', () => {
  beforeAll(() => admin.showJobs({ queue: queue.queue, key, isWritable: false }));

  test.each(['/jobs', '/jobs/', '/jobs/api/queues', '/jobs/static/favicon.svg'])(
    '%s requires the key',
    async (path) => {
      expect((await fetchPage(path)).status).toBe(401);
      expect((await fetchPage(path, { password: `${key}x` })).status).toBe(401);
    },
  );

  test('the page loads all of its parts from this server', async () => {
    const page = await fetchPage('/jobs', { password: key });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const script = /src="([^"]+[.]js)"/.exec(page.text)?.[1] ?? '';
    const base = /<base href="([^"]+)"/.exec(page.text)?.[1] ?? '/jobs/';
    expect((await fetchPage(new URL(script, `http://x${base}`).pathname, { password: key })).status).toBe(200);
    const { queues } = JSON.parse((await fetchPage('/jobs/api/queues', { password: key })).text) as {
      queues: { name: string; readOnlyMode: boolean; counts: { delayed: number } }[];
    };
    expect(queues).toMatchObject([{ name: 'nightjar', readOnlyMode: true }]);
    expect(queues[0]?.counts.delayed).toBeGreaterThan(5);
  });

  test('changes are refused unless allowed, and always for a page of another site', async () => {
    const pause = { method: 'PUT', password: key };
    const path = '/jobs/api/queues/nightjar/pause';
    expect((await fetchPage(path, pause)).status).toBe(403);
    const foreign = { ...pause, from: writableAdmin, headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await fetchPage(path, foreign)).status).toBe(403);
    expect(await queue.queue.isPaused()).toBe(false);
    expect((await fetchPage(path, { ...pause, from: writableAdmin })).status).toBe(200);
    expect(await queue.queue.isPaused()).toBe(true);
    await queue.queue.resume();
  });

  test('a foreign host name that resolves to this machine is refused (DNS rebinding)', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const options = { port: admin.port, path: '/jobs', headers: { host: 'evil.example' }, agent: new Agent() };
      request(options, ({ statusCode }) => resolve(statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});
