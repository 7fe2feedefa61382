import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The source tree of one commit, with its packages installed. */
export interface Checkout {
  /** The git ref as the caller named it, or `working tree`. */
  readonly ref: string;
  /** The commit's hash in full. The working tree may have changes on top of it. */
  readonly commit: string;
  readonly folder: string;
  /** Whether this is the tree of the bench itself, which reaches a local Postgres over its socket as `npm start` does. */
  readonly isCurrent: boolean;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Outside of this tree, because Node strips no types in `node_modules` and the tools read every file of the tree. */
const checkoutsFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'nightjar-bench');

export async function workingTree(): Promise<Checkout> {
  return { ref: 'working tree', commit: await commitOf('HEAD'), folder: root, isCurrent: true };
}

/**
 * Extracts the tree of `ref` into the user's cache folder and installs its packages with `npm ci`, once per commit.
 * @throws Error when git does not know `ref`, or npm fails.
 */
export async function checkOut(ref: string): Promise<Checkout> {
  const commit = await commitOf(ref);
  const folder = join(checkoutsFolder, commit);
  const complete = join(folder, '.bench-complete');
  if (!(await exists(complete))) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const archive = join(folder, '.tree.tar');
    await run('git', ['archive', `--output=${archive}`, commit], root);
    await run('tar', ['-xf', archive, '-C', folder], root);
    await rm(archive);
    await run('npm', ['ci', '--no-audit', '--no-fund'], folder);
    await writeFile(complete, '');
  }
  return { ref, commit, folder, isCurrent: false };
}

/** Returns the names of the rate limits of this tree, because a later tree may have other limits. */
export async function rateLimitNames({ folder }: Checkout): Promise<string[]> {
  const example = await readFile(join(folder, '.env.example'), 'utf8');
  return [...example.matchAll(/^#?(RATE_LIMIT_[A-Z_]+)=/gm)].map(([, name = '']) => name);
}

async function commitOf(ref: string): Promise<string> {
  return (await run('git', ['rev-parse', '--verify', `${ref}^{commit}`], root)).trim();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Runs a program. @returns its output. @throws Error with its error output when it fails. */
export async function run(file: string, args: readonly string[], cwd: string): Promise<string> {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} failed: ${errors.trim()}`);
  return output;
}
