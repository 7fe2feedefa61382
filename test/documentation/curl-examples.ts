import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Find<Found> = (output: Buffer) => Found | undefined;
type Environment = Readonly<Record<string, string>>;

/** Whether this machine has curl. */
export const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** Runs examples for the shell as printed. */
export interface CurlExamples {
  /** Runs a command to its end. @throws Error when it fails. */
  run(command: string, variables: Environment): Promise<{ readonly status: number; readonly text: string }>;
  /** Runs a command until `find` finds something in what it has printed, and then ends it. @throws Error when it ends before. */
  runUntil<Found>(command: string, variables: Environment, find: Find<Found>): Promise<Found>;
}

/** Makes curl print the status after each response, by a configuration file that the commands do not see. */
export async function prepareCurl(): Promise<CurlExamples> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-curl-'));
  await writeFile(join(folder, '.curlrc'), 'silent\nshow-error\nwrite-out = "\\n%{http_code}"\n');
  const environment = { PATH: process.env['PATH'] ?? '', CURL_HOME: folder };
  return {
    async run(command, variables) {
      const output = await outputOf(command, { ...environment, ...variables });
      const [, text = '', status = ''] = /^([\s\S]*)\n(\d{3})$/.exec(output.toString('utf8')) ?? [];
      return { status: Number(status), text };
    },
    async runUntil<Found>(command: string, variables: Environment, find: Find<Found>) {
      let found: Found | undefined;
      const output = await outputOf(command, { ...environment, ...variables }, (printed) => {
        found = find(printed);
        return found !== undefined;
      });
      if (found === undefined)
        throw new Error(`what it printed is not the expected output: ${output.toString('utf8')}`);
      return found;
    },
  };
}

/** Returns what a command prints until it ends, or until `isEnough`. */
function outputOf(command: string, env: Environment, isEnough?: (printed: Buffer) => boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that curl ends together with the shell.
    const shell = spawn('sh', ['-u', '-c', command], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const parts: Buffer[] = [];
    let problems = '';
    let wasStopped = false;
    shell.stderr.on('data', (part: Buffer) => (problems += part.toString('utf8')));
    shell.stdout.on('data', (part: Buffer) => {
      parts.push(part);
      if (wasStopped || isEnough?.(Buffer.concat(parts)) !== true || shell.pid === undefined) return;
      wasStopped = true;
      process.kill(-shell.pid);
    });
    shell.on('error', reject);
    shell.on('close', (code) => {
      const printed = Buffer.concat(parts);
      if (code === 0 || wasStopped) resolve(printed);
      else reject(new Error(`exit code ${code}: ${problems}${printed.toString('utf8')}\n${command}`));
    });
  });
}
