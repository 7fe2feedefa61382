import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, inject, test } from 'vitest';
import { newSecret } from '#platform/ids.ts';
import { checkServer } from '#storage/connection/check-server.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Sql } from '#storage/connection/database.ts';
import { createTestDatabase } from '../support/postgres/database.ts';

test('the Postgres of the tests is accepted in development', async () => {
  const database = await createTestDatabase({ poolSize: 1 });
  try {
    expect((await checkServer(database, { production: false })).versionMajor).toBeGreaterThanOrEqual(15);
  } finally {
    await database.close();
  }
});

test('production refuses a Postgres that may lose or delay messages', async () => {
  const database = await createTestDatabase({ poolSize: 1 });
  try {
    await database.sql`set synchronous_commit = off`;
    await database.sql`set idle_in_transaction_session_timeout = 0`;
    await expect(checkServer(database, { production: false })).resolves.toBeDefined();
    const refused = checkServer(database, { production: true });
    await expect(refused).rejects.toThrow(/synchronous_commit is off/);
    await expect(refused).rejects.toThrow(/idle_in_transaction_session_timeout/);
  } finally {
    await database.close();
  }
});

test('a Postgres before 15 and a standby are refused with the remedy', async () => {
  const row = {
    version: 140_012,
    isStandby: true,
    fsync: 'on',
    fullPageWrites: 'on',
    synchronousCommit: 'on',
    idleTimeout: '5s',
    readOnly: 'on',
    isolation: 'read committed',
    encoding: 'UTF8',
    zeroDamagedPages: 'off',
  };
  const database = openDatabase({ url: inject('postgresUrl'), poolSize: 1, applicationName: 'unused' });
  try {
    // No Postgres 14 is available, so the test returns its settings.
    const old = { ...database, sql: (() => Promise.resolve([row])) as unknown as Sql };
    await expect(checkServer(old, { production: false })).rejects.toThrow(/version 14; 15 or newer[^]*standby/);
  } finally {
    await database.close();
  }
});

test.for([
  ['default_transaction_read_only', 'on', /default_transaction_read_only is on/],
  ['default_transaction_isolation', 'repeatable read', /isolation is repeatable read/],
  ['synchronous_commit', 'off', /synchronous_commit is off/],
] as const)('settings preset for the role of the service are checked: %s', async ([name, value, expected]) => {
  const database = await createTestDatabase({ poolSize: 1 });
  const role = `nightjar_preset_${newSecret(4).toString('hex')}`;
  const password = newSecret(16).toString('hex');
  try {
    await database.sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    await database.sql.unsafe(`ALTER ROLE ${role} SET ${name} = '${value}'`);
    const url = new URL(database.url);
    url.username = role;
    url.password = password;
    const preset = openDatabase({ url: url.href, poolSize: 1, applicationName: 'test' });
    const refusal = await checkServer(preset, { production: true }).catch((reason: unknown) => reason);
    await preset.close();
    expect(String(refusal)).toMatch(expected);
    expect(refusal).toMatchObject({ isTemporary: false });
  } finally {
    await database.sql.unsafe(`DROP ROLE ${role}`);
    await database.close();
  }
});

test('when the server does not respond, the error contains the remedy and no password', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const database = openDatabase({
    url: `postgres://nightjar:topsecret@127.0.0.1:${port}/x`,
    poolSize: 1,
    applicationName: 'test',
  });
  try {
    const error: unknown = await checkServer(database, { production: true }).catch((reason: unknown) => reason);
    expect(String(error)).toContain('Start Postgres');
    expect(error).toMatchObject({ isTemporary: true });
    expect(String(error)).not.toContain('topsecret');
  } finally {
    await database.close();
  }
});
