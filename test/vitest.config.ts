import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './support/longest-first.ts';
import { temporaryFolder } from './support/temporary-folder.ts';
import { compileCacheFolder } from './support/processes/child-environment.ts';

// The workers of vitest load the packages anew for each test file.
process.env['NODE_COMPILE_CACHE'] ??= compileCacheFolder;
process.env['TMPDIR'] = temporaryFolder();

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts', 'src/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts', 'test/contract/global-setup.ts'],
    pool: 'forks',
    // Node runs the files as they are, as it does in production; vitest's own module loader doubles the work of each import and call.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // Each process takes one file after another: to load the packages again for each file would take a fifth of the time.
    isolate: false,
    // One more than the processors of a small machine, since some files wait most of the time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // postgres.js leaves the rejection of its own first query on a new connection to nobody; tests stop Postgres on purpose.
    onUnhandledError: (error) => !(error.message.startsWith('connect ECONNREFUSED') && 'query' in error),
  },
});
