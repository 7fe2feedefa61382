import { execFile, execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { migrationFolder } from '#storage/migrator.ts';
import { projectRoot } from '../tidy/source-tree.ts';
import { workerScript } from './worker-processes.ts';

const run = promisify(execFile);

/** Ended "The first conversation": what serves as the release before this one. */
const previousCommit = '6653ead6e066c2f5ebffab3bfb553bd02f2b8300';

/** Whether the history is here: it is not in a shallow clone, nor without .git. */
export const hasPreviousRelease = isCommitted();

/**
 * Migrations since then by which that release ends: its servers refuse the schema, and none of them can run beside those of today.
 * Allowed because nothing has been released yet; empty again once `previousCommit` is a later one.
 */
export const contractsSince = await findContracts();

async function findContracts(): Promise<readonly string[]> {
  if (!hasPreviousRelease) return [];
  const args = ['ls-tree', '--name-only', previousCommit, 'migrations/'];
  const before = new Set(execFileSync('git', args, { cwd: projectRoot, encoding: 'utf8' }).split('\n'));
  const files = (await readdir(migrationFolder)).filter((file) => !before.has(`migrations/${file}`)).toSorted();
  const contracts = [];
  for (const file of files) {
    const text = await readFile(join(migrationFolder, file), 'utf8');
    if (text.includes(`effect = 'contracts'`)) contracts.push(file.replace('.ts', ''));
  }
  return contracts;
}

function isCommitted(): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${previousCommit}^{commit}`], { cwd: projectRoot, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The files of the former release, with the packages of this one. */
export interface PreviousRelease {
  readonly folder: string;
  /** What {@link WorkerProcesses} runs for workers of that release. */
  readonly workerScript: string;
  /** Those of the settings that it knows: it refuses others. */
  settingsOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  /** `npm run migrate -- up` of that release. @returns what it printed. */
  migrateUp(databaseUrl: string): Promise<string>;
  remove(): Promise<void>;
}

export async function unpackPreviousRelease(): Promise<PreviousRelease> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-previous-'));
  const archive = join(folder, 'release.tar');
  await run('git', ['archive', '--output', archive, previousCommit], { cwd: projectRoot });
  await run('tar', ['-xf', archive, '-C', folder]);
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const script = join(folder, 'test/support/worker-child.ts');
  await mkdir(join(folder, 'test/support'), { recursive: true });
  await copyFile(workerScript, script);
  const known = await readFile(join(folder, '.env.example'), 'utf8');
  return {
    folder,
    settingsOf: (env) => Object.fromEntries(Object.entries(env).filter(([name]) => known.includes(`\n#${name}=`))),
    workerScript: script,
    async migrateUp(databaseUrl) {
      const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl };
      return (await run(process.execPath, ['bin/migrate.ts', 'up'], { cwd: folder, env })).stdout;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
