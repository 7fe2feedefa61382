import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientIdentity, RunningClient } from './session.ts';

const stopTimeoutMs = 3_000;

/** The environment variables from which a client under test reads its identity. */
export function environmentOf(identity: ClientIdentity): Readonly<Record<string, string>> {
  return {
    NIGHTJAR_URL: identity.serviceUrl,
    NIGHTJAR_SERVICE_DID: identity.serviceDid,
    NIGHTJAR_CLIENT_DID: identity.did,
    NIGHTJAR_CLIENT_KEY_FILE: identity.keyFile,
  };
}

/** Runs `command` in a shell, in a process group of its own; its output goes to standard error. */
export function startClientProcess(command: string, identity: ClientIdentity): RunningClient {
  const child = spawn(command, {
    shell: true,
    detached: true,
    env: { ...process.env, ...environmentOf(identity) },
    stdio: ['ignore', 2, 2],
  });
  let problem: string | undefined;
  const ended = once(child, 'close').then(() => {
    problem = `the command has ended with code ${child.exitCode ?? child.signalCode}`;
  });
  const signal = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // The group has ended.
    }
  };
  const killWithParent = (): void => signal('SIGKILL');
  process.once('exit', killWithParent);
  return {
    problem: () => problem,
    async stop() {
      signal('SIGTERM');
      await Promise.race([ended, sleep(stopTimeoutMs)]);
      signal('SIGKILL');
      process.off('exit', killWithParent);
    },
  };
}
