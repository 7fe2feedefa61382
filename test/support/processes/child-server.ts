import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { projectRoot } from '../../conventions/source-tree.ts';
import { childEnvironment } from './child-environment.ts';

/** A Nightjar server in a child process, started as npm does. */
export interface ChildServer {
  readonly url: string;
  readonly port: number;
  readonly adminPort: number;
  readonly pid: number;
  /** The log lines so far. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** The event names logged so far. */
  readonly logged: readonly string[];
  /** Sends the signal and waits until the process ends. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<{ exitCode: number | null; signal: string | null }>;
}

const startTimeoutMs = 40_000;

/**
 * Starts `npm run server` (role `server`) or `npm start` (role `all`) with only these settings, and waits until it listens. `folder` is
 * the folder of the release; default: this project.
 */
export async function startChildServer(
  role: 'server' | 'all',
  env: Readonly<Record<string, string>>,
  folder: string = projectRoot,
): Promise<ChildServer> {
  const child = spawn(process.execPath, ['src/main.ts', role], {
    cwd: folder,
    env: { ...childEnvironment, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const logged: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const listening = new Promise<{ port: number; adminPort: number }>((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      const fields = JSON.parse(line) as { event: string; port: number; adminPort: number };
      lines.push(fields);
      logged.push(fields.event);
      if (fields.event === 'server_listening') resolve(fields);
    });
  });
  const overdue = AbortSignal.timeout(startTimeoutMs);
  const tooLate = once(overdue, 'abort').then(() => Promise.reject(new Error('the server did not start in time')));
  const tooEarly = ended.then(([exitCode]) => Promise.reject(new Error(`the server ended with ${String(exitCode)}`)));
  tooLate.catch(() => undefined);
  tooEarly.catch(() => undefined);
  try {
    const { port, adminPort } = await Promise.race([listening, tooLate, tooEarly]);
    return {
      url: `http://127.0.0.1:${port}`,
      port,
      adminPort,
      pid: child.pid ?? 0,
      lines,
      logged,
      async end(signal) {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        const [exitCode, endedBy] = await ended;
        return { exitCode, signal: endedBy };
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}
