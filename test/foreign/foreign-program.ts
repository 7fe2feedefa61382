import { execFile, spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = fileURLToPath(new URL('.', import.meta.url));
/** Outside the repository, so that another clone on this machine uses the compiled crates. */
const targetFolder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'nightjar', 'foreign-clients');
const binary = join(targetFolder, 'debug', 'nightjar-foreign-clients');
const exampleBinary = join(targetFolder, 'debug', 'examples', 'member');
const environment = { ...process.env, CARGO_TARGET_DIR: targetFolder, CARGO_TERM_COLOR: 'never', CARGO_NET_RETRY: '1' };

const run = promisify(execFile);

/** One run of the steps in a new conversation. */
export interface ForeignRun {
  readonly engines: 'openmls' | 'mls-rs' | 'openmls-first' | 'mls-rs-first';
  readonly handshakes: 'plaintext' | 'encrypted';
  readonly suite: number;
  /** Number of random steps, which replace the fixed ones. */
  readonly churn?: number;
  /** Seed of the random steps. */
  readonly seed?: number;
}

/** The input of the program; `src/main.rs` describes the fields. */
export interface ForeignInput {
  readonly url: string;
  readonly serviceDid: string;
  readonly accounts: readonly { readonly did: string; readonly key: string }[];
  readonly runs: readonly ForeignRun[];
}

/**
 * Compiles the Rust program at a low priority.
 * @returns the reason why this machine cannot build it, or undefined.
 * @throws Error when cargo and the crates are available and the program does not compile.
 */
export async function buildForeignProgram(): Promise<string | undefined> {
  const version = await run('rustc', ['-vV'], { env: environment }).catch(() => undefined);
  const host = /^host: (.+)$/m.exec(version?.stdout ?? '')?.[1];
  if (host === undefined) return 'there is no Rust compiler here';
  try {
    await run('cargo', ['fetch', '--locked', '--target', host], { cwd: folder, env: environment });
  } catch (error) {
    return `cargo cannot download the crates: ${lastLine(error)}`;
  }
  await run('nice', ['-n', '10', 'cargo', 'build', '--locked', '--offline', '--bins', '--examples'], {
    cwd: folder,
    env: environment,
    maxBuffer: 16 * 1_048_576,
  });
  return undefined;
}

/** Runs the built program. */
export async function runForeignProgram(input: ForeignInput): Promise<{ status: number | null; output: string }> {
  const child = spawn(binary, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const parts: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (part: string) => void parts.push(part));
  child.stdin.end(JSON.stringify(input));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  return { status: await promise, output: parts.join('') };
}

/** The example of one member, while it runs. */
export interface RunningMember {
  /** Lines of its output so far. */
  readonly lines: readonly string[];
  /** Resolves to the exit status. */
  readonly ended: Promise<number | null>;
  kill(): void;
}

/** Starts the example `member` for a person with this signing key in base64url. */
export function startMember(options: {
  readonly server: { readonly url: string; readonly serviceDid: string };
  readonly account: { readonly did: string; signingKey(): string };
}): RunningMember {
  const { server, account } = options;
  const child = spawn(exampleBinary, [server.url, server.serviceDid, account.did, account.signingKey()], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => void lines.push(line));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject).once('close', resolve);
  return { lines, ended: promise, kill: () => void child.kill() };
}

function lastLine(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  return text.trim().split('\n').at(-1) ?? '';
}
