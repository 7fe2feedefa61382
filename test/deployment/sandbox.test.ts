import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#platform/clock.ts';
import { newKeyRingText } from '#privacy/load-key-ring.ts';
import { openDatabase } from '#storage/connection/database.ts';
import { startEmbeddedPostgres } from '#storage/embedded-postgres/embedded-postgres.ts';
import { migrateUp } from '#storage/schema/migrator.ts';
import { createSandbox, sandboxUid } from './sandbox.ts';
import type { SandboxedProcess } from './sandbox.ts';
import { hasTools, readUnit, unitPaths } from './unit-file.ts';

const isPossible =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  hasTools('systemd-analyze', 'unshare', 'setpriv', '/usr/bin/python3', 'awk') &&
  spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'tmpfs', '/opt']).status === 0;

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function crashSafePostgres(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-unit-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const embedded = await startEmbeddedPostgres({ dataDir: folder, clock: systemClock });
  cleanUps.push(() => embedded.stop());
  const maintenance = openDatabase({ url: embedded.url, poolSize: 1, applicationName: 'test', purpose: 'maintenance' });
  await migrateUp(maintenance);
  await maintenance.close();
  return embedded.url;
}

async function untilLogged(running: SandboxedProcess, event: string): Promise<Record<string, unknown>> {
  for (const deadlineMs = performance.now() + 30_000; performance.now() < deadlineMs; await systemClock.sleep(50)) {
    const line = running.output.out.split('\n').find((each) => each.includes(`"${event}"`));
    if (line !== undefined) return JSON.parse(line) as Record<string, unknown>;
    if (running.child.exitCode !== null) break;
  }
  throw new Error(`no ${event}: ${running.output.out}${running.output.err}`);
}

function environmentOf(unit: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  return Object.fromEntries(
    (unit.get('Environment') ?? []).map(
      (text) => text.replace('%d', '/opt/credentials').split('=') as [string, string],
    ),
  );
}

/** The privileges of a process as /proc shows them. */
async function privilegesOf(pid: number): Promise<Record<string, string>> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Object.fromEntries(
    [...status.matchAll(/^(Uid|CapPrm|CapBnd|NoNewPrivs|Seccomp):\s+(\S+)/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
}

const noPrivileges = {
  Uid: String(sandboxUid),
  CapPrm: '0'.repeat(16),
  CapBnd: '0'.repeat(16),
  NoNewPrivs: '1',
  Seccomp: '2',
};

test.skipIf(!isPossible)(
  'the start commands of both units run in production mode in the sandbox of their unit (needs root, unshare, systemd-analyze, python3)',
  { timeout: 90_000 },
  async () => {
    const credentials = { 'identity-key': newKeyRingText(), 'database-url': await crashSafePostgres() };
    const file = {
      CREDENTIALS_DIRECTORY: '/opt/credentials',
      SERVICE_DID: 'did:web:mls.nightjar.test',
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      ADMIN_PORT: '0',
      WORKER_ADMIN_PORT: '0',
      LOG_LEVEL: 'info',
    };
    for (const [role, event, probe] of [
      ['server', 'server_listening', ({ port }: Record<string, unknown>) => `http://127.0.0.1:${String(port)}/readyz`],
      [
        'worker',
        'worker_started',
        ({ adminPort }: Record<string, unknown>) => `http://127.0.0.1:${String(adminPort)}/metrics`,
      ],
    ] as const) {
      const unit = readUnit(unitPaths[role]);
      const sandbox = await createSandbox(unit, credentials);
      cleanUps.push(() => sandbox.remove());
      const [exec = ''] = unit.get('ExecStart') ?? [];
      const running = sandbox.run(exec.split(' '), { ...environmentOf(unit), ...file });
      cleanUps.push(async () => void running.child.kill('SIGKILL'));
      const started = await untilLogged(running, event);
      const pid = await running.pid();
      expect(await privilegesOf(pid)).toEqual(noPrivileges);
      expect((await fetch(probe(started))).status, role).toBe(200);
      if (role === 'server') {
        const document = await fetch(`http://127.0.0.1:${String(started['port'])}/.well-known/did.json`);
        expect(await document.text()).toContain('"https://mls.nightjar.test"');
      }
      process.kill(pid, 'SIGTERM');
      expect(await running.ended, running.output.err).toBe(0);
      expect(running.output.err).toBe('');
    }
  },
);

test.skipIf(!isPossible)(
  'the sandbox refuses the actions of an attacker who controls the process',
  { timeout: 30_000 },
  async () => {
    const unit = readUnit(unitPaths.server);
    const sandbox = await createSandbox(unit, { 'identity-key': 'x' });
    cleanUps.push(() => sandbox.remove());
    // Each attempt only opens a file or checks an access, so a leaking sandbox changes nothing.
    const attempts = `
    const fs = require('node:fs'), { spawnSync } = require('node:child_process');
    const attempts = {
      'change the program': () => fs.openSync('/opt/nightjar/src/main.ts', 'r+'),
      'write to /etc': () => fs.openSync('/etc/passwd', 'r+'),
      'write to /var': () => fs.accessSync('/var/tmp', fs.constants.W_OK),
      'read a home': () => fs.readdirSync('/root'),
      'read the shadow file': () => fs.readFileSync('/etc/shadow'),
      'read a disk': () => fs.readdirSync('/dev').includes('vda') || (() => { throw new Error('none'); })(),
      'see the processor': () => fs.readFileSync('/proc/cpuinfo'),
      'change a credential': () => fs.openSync('/opt/credentials/identity-key', 'r+'),
      'become root': () => process.setuid(0),
      'make namespaces': () => { if (spawnSync('unshare', ['--user', 'true']).status !== 0) throw new Error('refused'); },
      'use a setuid program': () => { if (spawnSync('su', ['-c', 'true']).status !== 0) throw new Error('refused'); },
      'open a raw socket': () => { if (spawnSync('/usr/bin/python3', ['-c', 'import socket; socket.socket(17, 3)']).status !== 0) throw new Error('refused'); },
      'trace': () => { if (spawnSync('/usr/bin/python3', ['-c', 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)']).status !== 0) throw new Error('refused'); },
    };
    const succeeded = Object.entries(attempts).filter(([, attempt]) => { try { attempt(); return true; } catch { return false; } });
    fs.writeFileSync('/tmp/allowed', 'x');
    console.log(JSON.stringify({ tried: Object.keys(attempts).length, succeeded: succeeded.map(([name]) => name) }));`;
    const [node = ''] = (unit.get('ExecStart')?.[0] ?? '').split(' ');
    const running = sandbox.run([node, '-e', attempts], {});
    expect(await running.ended, running.output.err).toBe(0);
    expect(JSON.parse(running.output.out)).toEqual({ tried: 13, succeeded: [] });
  },
);
