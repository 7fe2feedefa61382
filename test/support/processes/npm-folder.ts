import { execFile } from 'node:child_process';
import { copyFile, cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { projectRoot } from '../../conventions/source-tree.ts';

/** The outcome of a command. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder in which the npm scripts of this project run without the `.env` of a developer. */
export interface NpmFolder {
  readonly path: string;
  writeEnvFile(text: string): Promise<void>;
  run(command: string, env?: Readonly<Record<string, string>>): Promise<CommandResult>;
  remove(): Promise<void>;
}

/** PATH without the packages of this project, which npm adds where they are installed. */
export const pathOfMachine = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
  .join(delimiter);

/** A clone after `npm ci` with `installed`; a clone before it otherwise. */
export async function createNpmFolder(state: 'installed' | 'cloned'): Promise<NpmFolder> {
  const path = await mkdtemp(join(tmpdir(), 'nightjar-npm-'));
  await copyFile(join(projectRoot, 'package.json'), join(path, 'package.json'));
  if (state === 'cloned') await cp(join(projectRoot, 'bin'), join(path, 'bin'), { recursive: true });
  else {
    for (const folder of ['bin', 'src', 'workers', 'node_modules'])
      await symlink(join(projectRoot, folder), join(path, folder));
  }
  return {
    path,
    writeEnvFile: (text) => writeFile(join(path, '.env'), text),
    run: (command, env = {}) =>
      new Promise((resolve) => {
        const options = { cwd: path, env: { PATH: pathOfMachine, npm_config_logs_max: '0', ...env } };
        execFile('sh', ['-c', command], options, (error, stdout, stderr) => {
          const exitCode = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
          resolve({ exitCode, stdout, stderr });
        });
      }),
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}
