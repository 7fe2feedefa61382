import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { childEnvironment } from '../support/processes/child-environment.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { projectRoot } from '../conventions/source-tree.ts';
import { hasCurl } from './curl-examples.ts';
import { codeBelow, printedExamples } from './method-page.ts';
import { writeExampleModules } from './typescript-examples.ts';

const printedUrl = 'http://127.0.0.1:8080';
let bed: TestBed;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'nightjar-preamble-'));
  bed = await startTestBed({ env: { DEVELOPMENT_IDENTITIES: 'true', DATA_DIR: dataDir } });
});
afterAll(async () => {
  await bed.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test('the client of the overview gets its tokens from a development server', async () => {
  const modules = await writeExampleModules((code) => code.replaceAll(printedUrl, bed.server().url));
  const { api } = await modules.preamble();
  expect(await api.call('getConvos', {})).toEqual({ conversations: [] });
  await (
    await modules.load('optIn')
  )({ api, console }, {});
});

test.skipIf(!hasCurl)(
  'the commands of the overview set what an example for curl needs',
  { timeout: 60_000 },
  async () => {
    const overview = await readFile(join(projectRoot, 'docs/api/README.md'), 'utf8');
    const commands = codeBelow(overview, { heading: '## How do I run the examples?', language: 'sh' });
    expect(commands).toContain(printedUrl);
    const script = `set -eu\n${commands.replaceAll(printedUrl, bed.server().url)}\n${printedExamples('getConvos').curl}`;
    const env = { ...childEnvironment, DATA_DIR: dataDir, NO_COLOR: '1', PATH: process.env['PATH'] ?? '' };
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: projectRoot, env });
    expect(JSON.parse(stdout)).toEqual({ conversations: [] });
  },
);
