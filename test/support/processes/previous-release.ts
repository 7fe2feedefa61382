import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../conventions/source-tree.ts';

const run = promisify(execFile);

/** The commit of the last contracting migration, used as the previous release: servers of earlier commits refuse the schema. */
const previousCommit = 'a9d33e150205c97a01b6ec9ab106ca77a095732b';

/** The last commit whose servers refuse the schema after the contracting migrations `migrations/0017` and `0018`. */
export const contractedCommit = '81e2887';

/** Where the worker script of both commits is. */
const workerScript = 'test/support/worker-child.ts';

/** Whether the git history has the commit; a shallow clone does not. */
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

/** The files of a previous release, with the packages of the present one. */
export interface PreviousRelease {
  readonly folder: string;
  /** The script that starts a worker of that release, for {@link WorkerProcesses}. */
  readonly workerScript: string;
  /** Returns the settings that the release has, as it refuses unknown ones, and the folder of its compiled code. */
  settingsOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
  /** Runs `npm run migrate -- up` of that release. @returns its output. */
  migrateUp(databaseUrl: string): Promise<string>;
  remove(): Promise<void>;
}

/** Unpacks the files of `commit` into a temporary folder. */
export async function unpackPreviousRelease(commit = previousCommit): Promise<PreviousRelease> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-previous-'));
  const archive = join(folder, 'release.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: projectRoot });
  await run('tar', ['-xf', archive, '-C', folder]);
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  const example = await readFile(join(folder, '.env.example'), 'utf8');
  return {
    folder,
    settingsOf: (env) => ({
      ...Object.fromEntries(Object.entries(env).filter(([name]) => example.includes(`\n#${name}=`))),
      // The release lies in a new folder in each run, and a shared cache would grow with each.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
    }),
    workerScript: join(folder, workerScript),
    async migrateUp(databaseUrl) {
      const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl };
      return (await run(process.execPath, ['bin/migrate.ts', 'up'], { cwd: folder, env })).stdout;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
