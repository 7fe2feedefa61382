import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { systemClock } from '#platform/clock.ts';
import { openDatabase } from '#storage/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres.ts';
import { migrateUp } from '#storage/migrator.ts';
import { onDatabase, templateName } from './database-url.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres where tests may create databases; its template holds the migrated schema. */
    readonly postgresUrl: string;
  }
}

let teardownSteps: (() => Promise<unknown>)[] = [];

/** Starts one Postgres for the whole run (or takes DATABASE_URL's) and prepares the template that tests clone. */
export async function setup(project: TestProject): Promise<void> {
  try {
    const url = process.env['DATABASE_URL'] ?? (await startPrivatePostgres());
    const template = `${templateName}_${process.pid}`;
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
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-test-'));
  teardownSteps.push(() => rm(folder, { recursive: true, force: true }));
  const embedded = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock, durability: 'fast' });
  teardownSteps.push(() => embedded.stop());
  return embedded.url;
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
  const migrated = openDatabase({ url: onDatabase(url, template), poolSize: 2, applicationName: 'nightjar-test', purpose: 'maintenance' });
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
