import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jobNames } from '#jobs/catalogue.ts';
import type { JobSchedules } from '#jobs/queue/queue.ts';
import { systemClock } from '#platform/clock.ts';
import { readConfig } from '#platform/config/config.ts';
import { createLogger } from '#platform/logging/logger.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { openDatabase } from '#storage/connection/database.ts';
import type { Database } from '#storage/connection/database.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { startWorkers } from '../../workers/main.ts';
import { createAccount } from '../support/clients/account.ts';
import type { Account } from '../support/clients/account.ts';
import { craftMessage, createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { onDatabase } from '../support/postgres/database-url.ts';
import { DebianPostgres, hasDebianPostgres } from '../support/postgres/debian-postgres.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startLoopbackPlc } from '../support/network/loopback-plc.ts';
import type { LoopbackPlc } from '../support/network/loopback-plc.ts';
import { publishTestPackage, registerTestDevice } from '../support/clients/register-device.ts';
import type { RegisteredDevice } from '../support/clients/register-device.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startTestServer } from '../support/test-server.ts';
import type { TestServer } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { createXrpcClient, errorNameOf } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

/** The commands of docs/backups.md. */
const commands = {
  dump: ['pg_dump', '--format=custom', '--no-unlogged-table-data', '--exclude-schema=bullmq'],
  restore: ['pg_restore', '--exit-on-error', '--no-owner'],
  baseBackup: ['pg_basebackup', '--wal-method=stream', '--checkpoint=fast'],
} as const;

const gap = 1_000_000;
const identityKey = newKeyRingText();
let postgres: DebianPostgres;
let plc: LoopbackPlc;
let server: TestServer;
let source: Database;
let sourceUrl: string;
let alice: Account;
let bob: Account;
let device: RegisteredDevice;
let conversation: CraftedConversation;
let bodies: readonly Buffer[];
/** The cursor of the last event that Bob received; its message is in no dump. */
let cursor: string | undefined;
let usedToken: string;
let handedOutAfter: string | undefined;

const clientOf = (account: Account): XrpcClient => createXrpcClient({ server, account });

const serve = (databaseUrl: string): Promise<TestServer> =>
  startTestServer({ databaseUrl, plcUrl: plc.url, identityKey });

/** Runs an operator command; returns its output and exit code. */
function admin(databaseUrl: string, ...args: readonly string[]): Promise<{ code: number; text: string }> {
  const env = { ...childEnvironment, NODE_ENV: 'test', DATABASE_URL: databaseUrl, IDENTITY_KEY: identityKey };
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/admin.ts', ...args], { cwd: projectRoot, env }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), text: stdout + stderr }),
    );
  });
}

async function claim(account: Account): Promise<string | undefined> {
  const { keyPackages } = await clientOf(account).call('getKeyPackages', { dids: [alice.did] });
  return keyPackages[0]?.keyPackageHash;
}

/** Archives the current WAL, so that a copy of the cluster with its archive contains everything up to now. */
async function archiveWal(): Promise<void> {
  const [row] = await source.sql<{ file: string }[]>`SELECT pg_walfile_name(pg_switch_wal()) AS file`;
  for (let attempt = 0; attempt < 200; attempt++) {
    const [done] = await source.sql<{ isDone: boolean }[]>`
      SELECT coalesce(last_archived_wal >= ${row?.file ?? ''}, false) AS "isDone" FROM pg_stat_archiver`;
    if (done?.isDone === true) return;
    await systemClock.sleep(50);
  }
  throw new Error('the archive did not come');
}

beforeAll(async () => {
  if (!hasDebianPostgres) return;
  postgres = await DebianPostgres.open();
  const archive = await postgres.makeFolder('archive');
  await postgres.create('source', ['archive_mode = on', `archive_command = 'cp %p ${archive}/%f'`]);
  const adminUrl = await postgres.start('source');
  await postgres.run('createdb', '--maintenance-db', adminUrl, 'nightjar');
  sourceUrl = onDatabase(adminUrl, 'nightjar');
  source = openDatabase({ url: sourceUrl, poolSize: 2, applicationName: 'drill', purpose: 'maintenance' });
  await migrateUp(source);
  // A service that has run for a while has higher transaction ids than a new cluster.
  await source.sql.unsafe('DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
  plc = await startLoopbackPlc();
  [alice, bob] = [createAccount(plc), createAccount(plc)];
  server = await serve(sourceUrl);
  device = await registerTestDevice(clientOf(alice), { packages: 3 });
  conversation = await createCraftedConversation(clientOf(alice), [clientOf(bob)]);
  const stream = await openEventStream(clientOf(bob));
  const messages = [1, 2, 3, 4, 5].map(() => craftMessage(conversation));
  bodies = messages.map(({ ciphertext }) => Buffer.from(ciphertext));
  const send = async (from: number, to: number): Promise<void> => {
    for (const message of messages.slice(from, to)) await clientOf(alice).call('sendMessage', message);
  };
  await send(0, 3);
  await postgres.run(...commands.dump, '--file=nightjar.dump', sourceUrl);
  await postgres.run(...commands.baseBackup, '--pgdata=copy', `--dbname=${adminUrl}`);
  handedOutAfter = await claim(bob);
  await send(3, 4);
  await archiveWal();
  await send(4, 5);
  await stream.next('messageEvent', ({ message }) => message.seq === 5);
  ({ cursor } = stream);
  await stream.close();
  usedToken = clientOf(bob).token('getConvos');
  if ((await clientOf(bob).raw('getConvos', { token: usedToken })).status !== 200) throw new Error('a bad token');
}, 120_000);

afterAll(async () => {
  await server?.stop();
  await source?.close();
  await plc?.close();
  await postgres?.close();
});

/** Checks a restored database that has the messages up to `kept` and whose numbers continue at `next`. */
async function expectSafeToResume(kept: number, next: number): Promise<void> {
  const here = clientOf(bob);
  const before = await here.call('getMessages', { convoId: conversation.convoId, sinceSeq: 0 });
  expect(before.messages.map(({ seq }) => seq)).toEqual(Array.from({ length: kept }, (_, index) => index + 1));
  expect(before.messages.map(({ ciphertext }) => Buffer.from(ciphertext))).toEqual(bodies.slice(0, kept));

  const lost = await here.call('getMessages', { convoId: conversation.convoId, sinceSeq: 5 });
  expect([lost.messages, lost.gapInfo?.hasGaps]).toEqual([[], true]);
  expect((await here.refusal('updateCursor', { convoId: conversation.convoId, cursor: cursor ?? '' })).error).toBe(
    'InvalidCursor',
  );
  const stream = await openEventStream(here, { cursor });
  const { info } = await stream.next('infoEvent');
  expect(info).toContain('Fetch what is missing with getMessages');

  const { seq } = await sendCrafted(clientOf(alice), conversation);
  expect(seq).toBe(next);
  await stream.next('messageEvent', ({ message }) => message.seq === next);
  await stream.close();
  const after = await here.call('getMessages', { convoId: conversation.convoId, sinceSeq: 5 });
  expect(after.messages.map((message) => message.seq)).toEqual([next]);
  const resumed = await openEventStream(here, { cursor: stream.cursor });
  await sendCrafted(clientOf(alice), conversation);
  await resumed.next('messageEvent', ({ message }) => message.seq === next + 1);
  expect(resumed.events.map(({ $type }) => $type.split('#')[1])).toEqual(['messageEvent']);
  await resumed.close();
}

/** Checks that no earlier token and no claimed key package can be used again. */
async function expectNothingUsedTwice(): Promise<void> {
  const again = await clientOf(bob).raw('getConvos', { token: usedToken });
  // The response depends on how long the restore took.
  expect([
    [401, 'JwtTooOld'],
    [503, 'ServiceUnavailable'],
  ]).toContainEqual([again.status, errorNameOf(again)]);
  expect(handedOutAfter).toBeDefined();
  expect(await claim(createAccount(plc))).toBeUndefined();
  const fresh = await publishTestPackage(clientOf(alice), device);
  expect(await claim(createAccount(plc))).toBe(fresh);
}

async function expectJobsRun(databaseUrl: string): Promise<void> {
  const { database, metrics } = server;
  const workers = await startWorkers({
    databaseUrl,
    database,
    config: readConfig({ NODE_ENV: 'test', DATABASE_URL: databaseUrl, IDENTITY_KEY: identityKey }),
    clock: systemClock,
    logger: createLogger('error'),
    metrics,
    schedules: Object.fromEntries(jobNames.map((name) => [name, '* * * * * *'])) as JobSchedules,
  });
  try {
    await expect
      .poll(() => database.sql`SELECT 1 FROM job_turns WHERE succeeded_at IS NOT NULL`, { timeout: 20_000 })
      .not.toEqual([]);
  } finally {
    await workers.close();
  }
}

test('docs/backups.md contains the commands of this test', async () => {
  const page = await readFile(join(projectRoot, 'docs/backups.md'), 'utf8');
  for (const words of Object.values(commands)) expect(page).toContain(words.join(' '));
  expect(page).toContain('npm run admin -- restore finish');
});

describe.skipIf(!hasDebianPostgres)("a restore on Debian's Postgres 15 (package postgresql-15 needed)", () => {
  test('is refused while a server is running', async () => {
    const { code, text } = await admin(sourceUrl, 'restore', 'finish');
    expect([code, text]).toEqual([
      1,
      expect.stringContaining('The database is in use (nightjar-notifier, nightjar-server)'),
    ]);
    await server.stop();
  });

  test('of a dump, into another cluster', { timeout: 120_000 }, async () => {
    await postgres.create('target');
    const adminUrl = await postgres.start('target');
    await postgres.run('createdb', '--maintenance-db', adminUrl, 'nightjar');
    const url = onDatabase(adminUrl, 'nightjar');
    await postgres.run(...commands.restore, `--dbname=${url}`, 'nightjar.dump');
    await expect(serve(url)).rejects.toThrow('npm run admin -- restore finish');
    expect(JSON.parse((await admin(url, 'restore', 'finish')).text)).toMatchObject({
      restore: 'finished',
      conversations: 1,
      keyPackagesWithdrawn: 3,
    });
    server = await serve(url);
    await expectSafeToResume(3, 3 + gap + 1);
    await expectNothingUsedTwice();
    await expectJobsRun(url);
    await server.stop();
  });

  test('of a base backup with archived WAL', { timeout: 120_000 }, async () => {
    await postgres.recover('copy', join(postgres.folder, 'archive'));
    const url = onDatabase(await postgres.start('copy'), 'nightjar');
    expect(JSON.parse((await admin(url, 'restore', 'finish')).text)).toMatchObject({
      restore: 'finished',
      conversations: 1,
    });
    server = await serve(url);
    await expectSafeToResume(4, 4 + gap + 1);
    await expectNothingUsedTwice();
    await server.stop();
  });

  test('of the complete data continues numbers and key packages', { timeout: 120_000 }, async () => {
    const finished = await admin(sourceUrl, 'restore', 'finish', '--complete');
    expect(JSON.parse(finished.text)).toMatchObject({ conversations: 0, keyPackagesWithdrawn: 0 });
    server = await serve(sourceUrl);
    const stream = await openEventStream(clientOf(bob), { cursor });
    await stream.next('infoEvent');
    expect((await sendCrafted(clientOf(alice), conversation)).seq).toBe(6);
    await stream.next('messageEvent', ({ message }) => message.seq === 6);
    await stream.close();
    expect(await claim(createAccount(plc))).toBeDefined();
  });
});
