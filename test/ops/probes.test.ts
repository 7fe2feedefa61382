import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mountDidDocument } from '#ops/did-document.ts';
import { mountHealth } from '#ops/health.ts';
import { createReadiness } from '#ops/readiness.ts';
import type { Readiness } from '#ops/readiness.ts';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { assertMigrated } from '#storage/schema/migrator.ts';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';

interface ProbeServer {
  readonly url: string;
  readonly readiness: Readiness;
  /** How often the database was queried. */
  readonly queryCount: () => number;
}

let closers: (() => unknown)[] = [];
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase({ poolSize: 2 });
  closers = [() => database.close()];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

async function start(
  served: TestDatabase | ReturnType<typeof openDatabase>,
  serviceDid = 'did:web:mls.example.com',
): Promise<ProbeServer> {
  let queryCount = 0;
  const readiness = createReadiness({
    clock: systemClock,
    database: () => {
      queryCount += 1;
      return served.sql`select 1`;
    },
    migrations: () => assertMigrated(served),
  });
  const app = new Hono();
  mountHealth(app, { version: '1.2.3', readiness });
  mountDidDocument(app, { serviceDid, publicUrl: 'https://mls.example.com/' });
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  closers.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, readiness, queryCount: () => queryCount };
}

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

const allOk = { database: 'ok', migrations: 'ok', draining: 'ok' };

test('health returns the version, liveness only that the process responds', async () => {
  const { url } = await start(database);
  expect(await get(`${url}/xrpc/_health`)).toEqual({ status: 200, body: { version: '1.2.3' } });
  expect(await get(`${url}/livez`)).toEqual({ status: 200, body: { alive: true } });
});

test('the public port has no operator routes', async () => {
  const { url } = await start(database);
  for (const path of ['/metrics', '/xrpc/metrics', '//metrics', '/admin', '/livez/../metrics']) {
    expect((await fetch(`${url}${path}`)).status, path).toBe(404);
  }
});

describe('readiness', () => {
  test('is 200 when the database responds and its schema is current', async () => {
    const { url } = await start(database);
    expect(await get(`${url}/readyz`)).toEqual({ status: 200, body: { ready: true, checks: allOk } });
  });

  test('is 503 while draining, when the process still responds', async () => {
    const { url, readiness } = await start(database);
    readiness.drain();
    expect(await get(`${url}/readyz`)).toEqual({
      status: 503,
      body: { ready: false, checks: { ...allOk, draining: 'failed' } },
    });
    expect((await get(`${url}/livez`)).status).toBe(200);
  });

  test('fails on a schema that lacks migrations', async () => {
    const empty = await createTestDatabase({ poolSize: 2, schema: 'empty' });
    closers.push(() => empty.close());
    const { url } = await start(empty);
    expect(await get(`${url}/readyz`)).toEqual({
      status: 503,
      body: { ready: false, checks: { ...allOk, migrations: 'failed' } },
    });
  });

  test('fails without a database and does not expose the error', async () => {
    const unreachable = openDatabase({
      url: 'postgres://secret-user:secret-word@127.0.0.1:1/none',
      poolSize: 2,
      applicationName: 'unreachable',
    });
    closers.push(() => unreachable.close());
    const { url } = await start(unreachable);
    const { status, body } = await get(`${url}/readyz`);
    expect({ status, body }).toEqual({
      status: 503,
      body: { ready: false, checks: { ...allOk, database: 'failed', migrations: 'failed' } },
    });
    expect((await get(`${url}/xrpc/_health`)).status).toBe(200);
  });

  test('fails within four seconds when the database accepts connections and never responds', async () => {
    const hanging = {
      clock: systemClock,
      database: () => new Promise(() => undefined),
      migrations: () => Promise.resolve(),
    };
    const startedMs = performance.now();
    expect(await createReadiness(hanging).read()).toEqual({ ready: false, checks: { ...allOk, database: 'failed' } });
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  test('recovers when the database does', async () => {
    let isUp = false;
    const readiness = createReadiness({
      clock: systemClock,
      database: () => (isUp ? Promise.resolve() : Promise.reject(new Error('down'))),
      migrations: () => Promise.resolve(),
    });
    expect((await readiness.read()).ready).toBe(false);
    isUp = true;
    await systemClock.sleep(600);
    expect((await readiness.read()).ready).toBe(true);
  });

  test('queries the database at most four times for 100 concurrent requests', async () => {
    const { url, queryCount } = await start(database);
    await Promise.all(Array.from({ length: 100 }, () => get(`${url}/readyz`)));
    expect(queryCount()).toBeLessThanOrEqual(4);
  });
});

describe('the DID document', () => {
  test("of a did:web contains the service's endpoint", async () => {
    const { url } = await start(database);
    const { status, body } = await get(`${url}/.well-known/did.json`);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        '@context': ['https://www.w3.org/ns/did/v1'],
        id: 'did:web:mls.example.com',
        service: [{ id: '#atproto_mls', type: 'AtprotoMlsService', serviceEndpoint: 'https://mls.example.com' }],
      },
    });
  });

  test('of a did:plc is not served', async () => {
    const { url } = await start(database, 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa');
    expect((await fetch(`${url}/.well-known/did.json`)).status).toBe(404);
  });
});
