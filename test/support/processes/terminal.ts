import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '#platform/clock.ts';

/** Whether util-linux's `script` can give a command a terminal; tests that need one are skipped without it. */
export const hasTerminals = canOpenTerminals();

function canOpenTerminals(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux');
  } catch {
    return false;
  }
}

/** A command that runs on a terminal of its own. */
export interface OnTerminal {
  /** What the terminal showed so far, line by line. */
  lines(): readonly string[];
  /** Waits until the output matches, and returns it. @throws Error with the output when the command ends before. */
  untilShown(pattern: RegExp): Promise<RegExpExecArray>;
  /** Types Ctrl-C and waits for the end. */
  interrupt(): Promise<void>;
  kill(): Promise<void>;
}

/** Runs the shell command `line` in `cwd`, with these variables only. */
export function startOnTerminal(line: string, cwd: string, env: Readonly<Record<string, string>>): OnTerminal {
  const child = spawn('script', ['-qefc', line, '/dev/null'], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk.replaceAll('\r', '');
  });
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    lines: () => shown.split('\n'),
    async untilShown(pattern) {
      for (;;) {
        const found = pattern.exec(shown);
        if (found !== null) return found;
        if (!isRunning()) throw new Error(`The command ended before it showed ${String(pattern)}:\n${shown}`);
        await systemClock.sleep(20);
      }
    },
    async interrupt() {
      child.stdin.write('\u0003');
      await ended;
    },
    async kill() {
      if (isRunning()) child.kill('SIGTERM');
      await ended;
    },
  };
}
