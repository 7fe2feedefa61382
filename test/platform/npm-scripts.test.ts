import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { projectRoot } from '../conventions/source-tree.ts';
import { createNpmFolder } from '../support/processes/npm-folder.ts';
import type { NpmFolder } from '../support/processes/npm-folder.ts';

const folders: NpmFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

async function folderThatIs(state: 'installed' | 'cloned'): Promise<NpmFolder> {
  const folder = await createNpmFolder(state);
  folders.push(folder);
  return folder;
}

const { scripts } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
};
const refusal = { exitCode: 1, stdout: '', stderr: 'The packages are not installed. Run npm ci first.\n' };

test.for(Object.entries(scripts))('without the packages, npm run %s says to run npm ci first', async ([, script]) => {
  const folder = await folderThatIs('cloned');
  expect(await folder.run(script)).toEqual(refusal);
});

test('npm prints nothing but this message, for npm start and for npm test', { timeout: 20_000 }, async () => {
  const folder = await folderThatIs('cloned');
  for (const command of ['npm start', 'npm test']) {
    const { exitCode, stderr } = await folder.run(command);
    expect({ exitCode, stderr }, command).toEqual({ exitCode: 1, stderr: refusal.stderr });
  }
});

test('an interrupted npm ci counts as none', async () => {
  const folder = await folderThatIs('cloned');
  await mkdir(join(folder.path, 'node_modules/pino'), { recursive: true });
  expect(await folder.run(scripts['start'] ?? '')).toEqual(refusal);
  expect(await folder.run(`${process.execPath} bin/require-packages.mjs`)).toEqual(refusal);
});

test('without a .env no script mentions it', async () => {
  const folder = await folderThatIs('installed');
  const { exitCode, stderr } = await folder.run('npm run admin -- config check');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(Object.values(scripts).filter((script) => script.includes('--env-file'))).toEqual([]);
});

test('npm scripts read .env, and the environment has precedence', { timeout: 20_000 }, async () => {
  const folder = await folderThatIs('installed');
  await folder.writeEnvFile('LOG_LEVEL=loud\nSERVER_PORT=none\n');
  const refused = await folder.run('npm run admin -- config check', { SERVER_PORT: '8080' });
  expect(refused.exitCode).toBe(78);
  expect(refused.stderr).toContain('LOG_LEVEL:');
  expect(refused.stderr).not.toContain('SERVER_PORT:');
});

test.for(['src/main.ts all', 'workers/main.ts'])(
  '%s by itself does not read .env, so that a test never runs with the settings of a developer',
  { timeout: 20_000 },
  async (entryPoint) => {
    const folder = await folderThatIs('installed');
    await folder.writeEnvFile('LOG_LEVEL=loud\n');
    const { exitCode, stderr } = await folder.run(`${process.execPath} ${entryPoint}`, { SERVER_PORT: 'none' });
    expect([exitCode, stderr]).toEqual([78, expect.stringContaining('SERVER_PORT:')]);
    expect(stderr).not.toContain('LOG_LEVEL:');
  },
);

test('a thread does not read .env again, after the process has removed its secrets', async () => {
  const folder = await folderThatIs('installed');
  await folder.writeEnvFile('ADMIN_KEY=from-the-file\n');
  const code = `
    const { Worker } = require("node:worker_threads");
    console.log(process.env.ADMIN_KEY);
    delete process.env.ADMIN_KEY;
    new Worker(new URL("data:text/javascript,console.log(process.env.ADMIN_KEY)"));`;
  const { stdout } = await folder.run(`${process.execPath} --import ./bin/load-env-file.mjs -e '${code}'`);
  expect(stdout).toBe('from-the-file\nundefined\n');
});
