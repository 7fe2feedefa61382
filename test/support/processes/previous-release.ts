import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../conventions/source-tree.ts';

const run = promisify(execFile);

/** Has the last migration that contracts, and serves as the release before this one: servers of earlier commits refuse the schema. */
const previousCommit = 'a9d33e150205c97a01b6ec9ab106ca77a095732b';

/** The last commit whose servers a migration that contracts has ended: `migrations/0017` and `0018`. */
export const contractedCommit = '81e2887';

/** Whether the history is here: it is not in a shallow clone, nor without .git. */
export const hasPreviousRelease = isCommitted(previousCommit);
export const hasContractedRelease = isCommitted(contractedCommit);

function isCommitted(commit: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: projectRoot, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The files of the former release, with the packages of this one. */
export interface PreviousRelease {
  readonly folder: string;
  /** The script of that release that {@link WorkerProcesses} runs for its workers. */
  readonly workerScript: string;
  /** Those of the settings that it knows: it refuses others. */
  settingsOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  /** `npm run migrate -- up` of that release. @returns what it printed. */
  migrateUp(databaseUrl: string): Promise<string>;
  remove(): Promise<void>;
}

/** @param commit whose files are unpacked. */
export async function unpackPreviousRelease(commit = previousCommit): Promise<PreviousRelease> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-previous-'));
  const archive = join(folder, 'release.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: projectRoot });
  await run('tar', ['-xf', archive, '-C', folder]);
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const known = await readFile(join(folder, '.env.example'), 'utf8');
  return {
    folder,
    settingsOf: (env) => Object.fromEntries(Object.entries(env).filter(([name]) => known.includes(`\n#${name}=`))),
    workerScript: join(folder, 'test/support/worker-child.ts'),
    async migrateUp(databaseUrl) {
      const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl };
      return (await run(process.execPath, ['bin/migrate.ts', 'up'], { cwd: folder, env })).stdout;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
