import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { createPeople, makeExampleCalls } from './example-calls.ts';
import { createExampleRecorder } from './example-recorder.ts';
import type { ExampleRecorder } from './example-recorder.ts';

// Records the calls that the pages of docs/api show as examples. After a change of a call or of a response, run
// npx vitest run --config test/vitest.config.ts test/contract/examples.test.ts -u, then npm run codegen.

let bed: TestBed;
let pds: LoopbackPds;
let record: ExampleRecorder;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  const people = createPeople(bed, pds);
  record = createExampleRecorder(people, bed.server().url);
  await makeExampleCalls(record, people, pds);
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

test('the examples file has the recorded calls', async () => {
  const text = `${JSON.stringify(record.examples(), undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot('examples.json');
});

test('every method has an example', () => {
  const notMethods = new Set(['endpoints', 'errors', 'views']);
  const sources = readdirSync(join(projectRoot, 'src/xrpc/mls')).filter((file) => file.endsWith('.ts'));
  const methods = sources.map((file) => file.replace('.ts', ''));
  const shown = record.examples();
  expect(methods.filter((method) => !notMethods.has(method) && !(method in shown))).toEqual([]);
});
