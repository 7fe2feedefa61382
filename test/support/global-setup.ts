import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { systemClock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import { isDataDirLocked } from '#storage/embedded-postgres/data-dir-lock.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { onDatabase } from './postgres/database-url.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres where tests may create databases; its template database has the migrated schema. */
    readonly postgresUrl: string;
  }
}

const folderPrefix = 'nightjar-test-';
const abandonedAfterMs = 60_000;
let teardownSteps: (() => Promise<unknown>)[] = [];

/** Starts one Postgres for the whole run (or uses DATABASE_URL) and prepares the template that tests clone. */
export async function setup(project: TestProject): Promise<void> {
  try {
    const url = process.env['DATABASE_URL'] ?? (await startPrivatePostgres());
    const template = `nightjar_template_${newSecret(8).toString('hex')}`;
    await prepareTemplate(url, template);
    project.provide('postgresUrl', onDatabase(url, template));
  } catch (error) {
    await teardown();
    throw error;
  }
}

export async function teardown(): Promise<void> {
  const steps = teardownSteps.reverse();
  teardownSteps = [];
  for (const step of steps) await step();
}

async function startPrivatePostgres(): Promise<string> {
  await removeAbandoned();
  const folder = await mkdtemp(join(tmpdir(), folderPrefix));
  const removeNow = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  // Ctrl-C ends the process without the teardown.
  process.once('exit', removeNow);
  teardownSteps.push(async () => {
    process.removeListener('exit', removeNow);
    await rm(folder, { recursive: true, force: true });
  });
  const embedded = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
  teardownSteps.push(() => embedded.stop());
  return embedded.url;
}

/** Removes the folders of killed runs. A Postgres whose folder is removed ends within a minute. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const folder = join(tmpdir(), name);
    if (!name.startsWith(folderPrefix) || (await isDataDirLocked(folder))) continue;
    // Another run may be about to use the folder, or the folder may belong to another user.
    const madeAtMs = await stat(folder).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    );
    if (madeAtMs > systemClock.nowMs() - abandonedAfterMs) continue;
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  }
}

async function prepareTemplate(url: string, template: string): Promise<void> {
  const admin = openDatabase({ url, poolSize: 1, applicationName: 'nightjar-test', purpose: 'maintenance' });
  try {
    await admin.sql`drop database if exists ${admin.sql(template)} with (force)`;
    await admin.sql`create database ${admin.sql(template)} template template0`;
  } finally {
    await admin.close();
  }
  teardownSteps.push(() => dropTemplate(url, template));
  const migrated = openDatabase({
    url: onDatabase(url, template),
    poolSize: 2,
    applicationName: 'nightjar-test',
    purpose: 'maintenance',
  });
  try {
    await migrateUp(migrated);
  } finally {
    await migrated.close();
  }
}

async function dropTemplate(url: string, template: string): Promise<void> {
  const admin = openDatabase({ url, poolSize: 1, applicationName: 'nightjar-test', purpose: 'maintenance' });
  try {
    await admin.sql`drop database if exists ${admin.sql(template)} with (force)`;
  } finally {
    await admin.close();
  }
}
