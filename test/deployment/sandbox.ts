import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../conventions/source-tree.ts';
import { allowedSystemCalls } from './unit-file.ts';
import type { Unit } from './unit-file.ts';

/** A user id from systemd's range for dynamic users. */
export const sandboxUid = 61_184;

/**
 * Shell equivalent of `ProtectSystem=strict`, `ProtectHome=`, `PrivateTmp=`, `PrivateDevices=`, `ProtectProc=` and
 * `LoadCredential=`: $1 is a folder with `credentials`, $2 the project, the rest the command.
 */
const mountScript = `
set -e
place=$1 project=$2; shift 2
mkdir -p "$place/app" "$place/run"
mount -t tmpfs -o mode=755 tmpfs "$place/app"
# One by one: the folder itself may be closed to everybody but its owner.
for entry in "$project"/*; do
  name=\${entry##*/}
  if [ -d "$entry" ]; then mkdir "$place/app/$name"; else touch "$place/app/$name"; fi
  mount --bind "$entry" "$place/app/$name"
done
mount -t tmpfs -o mode=755 tmpfs "$place/run"
cp -a "$place/credentials" "$place/run/credentials"
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/nightjar /opt/credentials
mount --move "$place/app" /opt/nightjar
mount --bind "$place/run/credentials" /opt/credentials
mount -t tmpfs -o mode=755 tmpfs "$place/run"
mkdir "$place/run/dev"
for device in null zero full random urandom; do
  touch "$place/run/dev/$device"; mount --bind "/dev/$device" "$place/run/dev/$device"
done
mount --rbind "$place/run/dev" /dev
for home in /root /home /run/user; do [ ! -d $home ] || mount -t tmpfs -o mode=000 tmpfs $home; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t proc -o subset=pid,hidepid=invisible proc /proc
awk '$2 != "/tmp" && $2 !~ "^/proc" {print $2}' /proc/self/mounts | while read -r at; do
  mount -o remount,bind,ro "$at" 2>/dev/null || true
done
cd /opt/nightjar
ulimit -c 0
umask 0077
exec "$@"
`;

/**
 * Equivalent of `SystemCallFilter=`, `RestrictAddressFamilies=` and `RestrictNamespaces=`, with the same library as
 * systemd.
 */
const filterScript = `
import ctypes, os, sys
class Compare(ctypes.Structure):
    _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]
lib = ctypes.CDLL('libseccomp.so.2')
lib.seccomp_init.restype = ctypes.c_void_p
allow, refuse, absent = 0x7fff0000, 0x00050000 | 1, 0x00050000 | 38
context = ctypes.c_void_p(lib.seccomp_init(refuse))
def add(action, name, *compare):
    number = lib.seccomp_syscall_resolve_name(name.encode())
    if number < 0: return
    rules = (Compare * len(compare))(*compare)
    if lib.seccomp_rule_add_array(context, action, number, len(compare), rules) != 0: sys.exit('no rule for ' + name)
for name in sys.argv[1].split(','):
    if name == 'clone3': add(absent, name)
    elif name == 'socket':
        for family in (1, 2, 10): add(allow, name, Compare(0, 4, family, 0))
    elif name not in ('unshare', 'setns'): add(allow, name)
if lib.seccomp_load(context) != 0: sys.exit('no filter')
os.execv(sys.argv[2], sys.argv[2:])
`;

export interface SandboxedProcess {
  readonly child: ChildProcess;
  /** The process id of the sandboxed program outside its namespace. */
  pid(): Promise<number>;
  readonly output: { out: string; err: string };
  readonly ended: Promise<number | null>;
}

/** The sandbox of a unit, as similar as possible without systemd. Credentials are read from `/opt/credentials`. */
export async function createSandbox(
  unit: Unit,
  credentials: Readonly<Record<string, string>>,
): Promise<{
  run(command: readonly string[], env: Readonly<Record<string, string>>): SandboxedProcess;
  remove(): Promise<void>;
}> {
  const place = await mkdtemp(join(tmpdir(), 'nightjar-sandbox-'));
  await mkdir(join(place, 'credentials'));
  for (const [name, text] of Object.entries(credentials)) {
    const path = join(place, 'credentials', name);
    await writeFile(path, text, { mode: 0o400 });
    await chown(path, sandboxUid, sandboxUid);
  }
  await chown(join(place, 'credentials'), sandboxUid, sandboxUid);
  await chmod(join(place, 'credentials'), 0o500);
  const systemCalls = allowedSystemCalls(unit).join(',');
  return {
    run: (command, env) =>
      start(place, [...drop, '/usr/bin/python3', '-c', filterScript, systemCalls, ...command], env),
    remove: () => rm(place, { recursive: true, force: true }),
  };
}

const drop = [
  'setpriv',
  `--reuid=${sandboxUid}`,
  `--regid=${sandboxUid}`,
  '--clear-groups',
  '--inh-caps=-all',
  '--ambient-caps=-all',
  '--bounding-set=-all',
  '--no-new-privs',
];

function start(place: string, command: readonly string[], env: Readonly<Record<string, string>>): SandboxedProcess {
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--propagation', 'private'];
  const script = ['sh', '-c', mountScript, 'sandbox', place, projectRoot];
  const child = spawn('unshare', [...namespaces, ...script, ...command], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
  return {
    child,
    output,
    ended: once(child, 'close').then(([code]) => code as number | null),
    async pid() {
      const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      return Number(children.trim());
    },
  };
}
