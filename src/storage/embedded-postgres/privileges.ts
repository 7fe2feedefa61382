import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Describes how to run a Postgres program. `account` is set when root runs the program directly as another user. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  readonly account: Account | undefined;
}

/**
 * Describes how to run all Postgres programs, which refuse to run as root. `account` is undefined when the current user
 * is not root.
 */
export interface LaunchPlan {
  readonly account: Account | undefined;
  launch(program: string, args: readonly string[]): Launch;
}

interface LaunchPaths {
  readonly binariesFolder: string;
  readonly program: string;
  readonly dataDir: string;
  readonly clusterDir: string;
}

/** Bit numbers of Linux capabilities, from capabilities(7). */
const capabilityBits = { dac_override: 1, dac_read_search: 2, setpcap: 8 } as const;

/**
 * Chooses the user that runs Postgres. A user that cannot enter the folder, for example in root's home, gets only the
 * capability that permits it.
 * @throws EmbeddedPostgresError with the remedy when root may not grant the capability.
 */
export async function planLaunch(places: LaunchPaths): Promise<LaunchPlan> {
  if (process.getuid?.() !== 0)
    return { account: undefined, launch: (file, args) => ({ file, args, account: undefined }) };
  const account = await chooseAccount(places);
  const reachable = (await canReach(places.binariesFolder, account)) && (await canReach(places.dataDir, account));
  const executable = await hasMode(places.program, account, 0o5);
  if (reachable && executable) return { account, launch: (file, args) => ({ file, args, account }) };
  const { capability, setprivPath } = await grantFor(executable);
  const setpriv = [
    '--reuid',
    String(account.uid),
    '--regid',
    String(account.gid),
    '--clear-groups',
    ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+${capability}`),
    // initdb checks files with access(2), which without this securebit ignores the capabilities of users other than
    // root.
    '--securebits',
    '+no_setuid_fixup',
    '--no-new-privs',
  ];
  return {
    account,
    launch: (program, args) => ({ file: setprivPath, args: [...setpriv, '--', program, ...args], account: undefined }),
  };
}

/**
 * Chooses the owner of the database, the owner of the folder, `postgres` or `nobody`, in this order, but never root.
 */
async function chooseAccount(places: LaunchPaths): Promise<Account> {
  const accounts = await namedAccounts();
  const clusterOwner = await ownerOf(places.clusterDir);
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) return clusterOwner;
  const folderOwner = await ownerOf(places.dataDir);
  // initdb requires a user that has a name.
  const named = [...accounts.values()].find((account) => account.uid !== 0 && account.uid === folderOwner?.uid);
  const chosen = named ?? accounts.get('postgres') ?? accounts.get('nobody');
  if (chosen === undefined) {
    throw new EmbeddedPostgresError(
      'Postgres does not run as root and there is no user "postgres" or "nobody". Run as an ordinary user, or set DATABASE_URL.',
    );
  }
  return chosen;
}

async function namedAccounts(): Promise<ReadonlyMap<string, Account>> {
  const accounts = new Map<string, Account>();
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name !== undefined && uid !== undefined && gid !== undefined)
      accounts.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return accounts;
}

async function ownerOf(path: string): Promise<Account | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch {
    return undefined;
  }
}

async function canReach(path: string, account: Account): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (!(await hasMode(folder, account, 0o1))) return false;
    if (folder === dirname(folder)) return true;
  }
}

async function hasMode(path: string, account: Account, bits: number): Promise<boolean> {
  const { mode, uid, gid } = await stat(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}

interface Grant {
  readonly capability: 'dac_read_search' | 'dac_override';
  readonly setprivPath: string;
}

/**
 * Returns `dac_read_search` if it suffices and root has it, otherwise `dac_override`, the only one of the two that
 * Docker grants to root.
 */
async function grantFor(executable: boolean): Promise<Grant> {
  const permitted = await permittedCapabilities();
  const has = (bit: number): boolean => ((permitted >> BigInt(bit)) & 1n) === 1n;
  const capability = executable && has(capabilityBits.dac_read_search) ? 'dac_read_search' : 'dac_override';
  const setprivPath = await firstExecutable('/usr/bin/setpriv', '/bin/setpriv');
  if (setprivPath !== undefined && has(capabilityBits[capability]) && has(capabilityBits.setpcap))
    return { capability, setprivPath };
  throw new EmbeddedPostgresError(
    'Postgres does not run as root, and no other user can enter this folder. Move the project out of the private home (for example to /srv), run as an ordinary user, or set DATABASE_URL.',
  );
}

async function permittedCapabilities(): Promise<bigint> {
  try {
    const line = /^CapPrm:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'latin1'));
    return BigInt(`0x${line?.[1] ?? '0'}`);
  } catch {
    return 0n;
  }
}

async function firstExecutable(...paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}
