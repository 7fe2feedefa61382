import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestDatabase } from '../support/postgres/database.ts';
import type { TestDatabase } from '../support/postgres/database.ts';
import { childEnvironment } from '../support/processes/child-environment.ts';

const root = join(import.meta.dirname, '../..');
let database: TestDatabase | undefined;

beforeEach(() => {
  database = undefined;
});
afterEach(() => database?.close());

function startProcess(
  url: string,
  nodeOptions: readonly string[] = [],
): {
  process: ReturnType<typeof spawn>;
  lines: AsyncIterator<string>;
  errors: string[];
} {
  const env = { ...childEnvironment, DATABASE_URL: url, WORKER_ADMIN_PORT: '0', LOG_LEVEL: 'info' };
  const child = spawn(process.execPath, [...nodeOptions, join(root, 'workers/main.ts')], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  return { process: child, lines: createInterface(child.stdout)[Symbol.asyncIterator](), errors };
}

test('a worker process shows its metrics on loopback, and completes running jobs on SIGTERM', async () => {
  database = await createTestDatabase({ poolSize: 2 });
  const worker = startProcess(database.url);
  const first = await worker.lines.next();
  const started: Record<string, unknown> = JSON.parse(String(first.value));
  expect(started, worker.errors.join('')).toMatchObject({ event: 'worker_started' });
  const metrics = await fetch(`http://127.0.0.1:${String(started['adminPort'])}/metrics`);
  expect(await metrics.text()).toContain('nightjar_job_last_success_timestamp_seconds');
  worker.process.kill('SIGTERM');
  const [code] = await once(worker.process, 'exit');
  expect(code, worker.errors.join('')).toBe(0);
});

test('a database without its schema stops the worker with the remedy', async () => {
  database = await createTestDatabase({ poolSize: 2, schema: 'empty' });
  const worker = startProcess(database.url);
  const [code] = await once(worker.process, 'exit');
  expect(code).toBe(78);
  expect(worker.errors.join('')).toContain('npm run migrate');
});

test('an uncaught error ends the worker without printing its message, which may contain data', async () => {
  database = await createTestDatabase({ poolSize: 2 });
  const failing = "setTimeout(() => { throw new Error('words of did:plc:alice'); }, 2000)";
  const worker = startProcess(database.url, ['--import', `data:text/javascript,${encodeURIComponent(failing)}`]);
  const [code] = await once(worker.process, 'exit');
  expect(code).toBe(1);
  expect(worker.errors.join('')).toContain('errorClass');
  expect(worker.errors.join('')).not.toContain('words of');
});
