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

interface Served {
  readonly url: string;
  readonly readiness: Readiness;
  /** How often the database was asked. */
  readonly asked: () => number;
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
): Promise<Served> {
  let asked = 0;
  const readiness = createReadiness({
    clock: systemClock,
    database: () => {
      asked += 1;
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
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, readiness, asked: () => asked };
}

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

const allOk = { database: 'ok', migrations: 'ok', draining: 'ok' };

test('health tells the version, liveness only that somebody answers', async () => {
  const { url } = await start(database);
  expect(await get(`${url}/xrpc/_health`)).toEqual({ status: 200, body: { version: '1.2.3' } });
  expect(await get(`${url}/livez`)).toEqual({ status: 200, body: { alive: true } });
});

test("nothing of the operator's is on the public port", async () => {
  const { url } = await start(database);
  for (const path of ['/metrics', '/xrpc/metrics', '//metrics', '/admin', '/livez/../metrics']) {
    expect((await fetch(`${url}${path}`)).status, path).toBe(404);
  }
});

describe('readiness', () => {
  test('is given when the database answers on a current schema', async () => {
    const { url } = await start(database);
    expect(await get(`${url}/readyz`)).toEqual({ status: 200, body: { ready: true, checks: allOk } });
  });

  test('is taken back while draining, when the process still answers', async () => {
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

  test('fails without a database and says nothing of why or where', async () => {
    const nowhere = openDatabase({
      url: 'postgres://secret-user:secret-word@127.0.0.1:1/none',
      poolSize: 2,
      applicationName: 'nowhere',
    });
    closers.push(() => nowhere.close());
    const { url } = await start(nowhere);
    const { status, body } = await get(`${url}/readyz`);
    expect({ status, body }).toEqual({
      status: 503,
      body: { ready: false, checks: { ...allOk, database: 'failed', migrations: 'failed' } },
    });
    expect((await get(`${url}/xrpc/_health`)).status).toBe(200);
  });

  test('fails in time when the database accepts and never answers', async () => {
    const hanging = {
      clock: systemClock,
      database: () => new Promise(() => undefined),
      migrations: () => Promise.resolve(),
    };
    const startedMs = performance.now();
    expect(await createReadiness(hanging).read()).toEqual({ ready: false, checks: { ...allOk, database: 'failed' } });
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  test('comes back by itself', async () => {
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

  test('costs the database next to nothing however often anyone asks', async () => {
    const { url, asked } = await start(database);
    await Promise.all(Array.from({ length: 100 }, () => get(`${url}/readyz`)));
    expect(asked()).toBeLessThanOrEqual(4);
  });
});

describe('the DID document', () => {
  test("leads from the service's did:web to its endpoint", async () => {
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

  test("of a did:plc is the directory's, not ours", async () => {
    const { url } = await start(database, 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa');
    expect((await fetch(`${url}/.well-known/did.json`)).status).toBe(404);
  });
});
