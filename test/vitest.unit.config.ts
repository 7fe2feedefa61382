import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The tests that stand beside the code they test: they need neither Postgres nor a socket. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: { include: ['src/**/*.test.ts'], pool: 'forks', maxWorkers: 2 },
});
