import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import type { EmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { startTestServer } from '../support/test-server.ts';
import type { TestServer } from '../support/test-server.ts';

const paths = ['/dev/people', '/dev/token?as=alice&lxm=blue.catbird.mls.getConvos', '/dev/stored-rows?convoId=00'];
const identityKey = newKeyRingText();
let folder: string;
let postgres: EmbeddedPostgres;
let server: TestServer | undefined;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'nightjar-production-')));
  // A server in production requires a Postgres that loses no data, which the shared one of the tests is not.
  postgres = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock });
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

function start(env: Readonly<Record<string, string>>): Promise<TestServer> {
  const own = { DATA_DIR: join(folder, 'data'), MIGRATE_ON_START: 'true', ...env };
  return startTestServer({ databaseUrl: postgres.url, plcUrl: 'https://plc.directory', identityKey, env: own });
}

/** The address to connect to, because in production `url` is the public one. */
const localUrl = ({ port }: TestServer): string => `http://127.0.0.1:${port}`;

const production = { NODE_ENV: 'production', SERVER_HOST: '127.0.0.1', IDENTITY_ALLOW_PRIVATE_NETWORK: 'false' };

test('a server in production has no route below /dev and makes no identities', async () => {
  server = await start(production);
  for (const path of paths) expect((await fetch(`${localUrl(server)}${path}`)).status, path).toBe(404);
  expect((await fetch(`${localUrl(server)}/dev/people?name=dave`, { method: 'POST' })).status).toBe(404);
  expect(await readdir(folder)).not.toContain('data');
  expect(server.logLines.join('\n')).not.toContain('development_identities_on');
});

test('a server in production has the documentation', async () => {
  server = await start(production);
  for (const path of ['/docs', '/docs/api/sendMessage', '/openapi.json', '/lexicons']) {
    expect((await fetch(`${localUrl(server)}${path}`)).status, path).toBe(200);
  }
});

test('a server in production does not start with development identities', async () => {
  await expect(start({ ...production, DEVELOPMENT_IDENTITIES: 'true' })).rejects.toThrow(
    'DEVELOPMENT_IDENTITIES: may not be true in production. Remove it.',
  );
});

test('a server outside production has none unless it is npm start or the setting is true', async () => {
  server = await start({});
  for (const path of paths) expect((await fetch(`${localUrl(server)}${path}`)).status, path).toBe(404);
  await server.stop();
  server = await start({ DEVELOPMENT_IDENTITIES: 'true' });
  for (const path of paths) expect((await fetch(`${localUrl(server)}${path}`)).status, path).toBe(200);
});
