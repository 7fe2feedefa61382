import { lchown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { identifyProcess } from './process-identity.ts';

/** The exclusive right to start and stop the Postgres of one data folder. */
export interface DataDirLock {
  release(): Promise<void>;
}

/** Thrown when another live process has locked the data folder. */
export class DataDirBusyError extends EmbeddedPostgresError {
  constructor(dataDir: string, pid: number) {
    super(
      `Another Nightjar (process ${pid}) is using ${dataDir}. Stop it, or give this one its own folder with DATA_DIR.`,
    );
  }
}

const lockFile = 'nightjar.pid.json';
const recordShape = z.object({ pid: z.int(), startMark: z.string(), token: z.string() });

/**
 * Locks `dataDir` until `release` or until the process exits. Ignores the lock file of a process that has ended.
 * @throws DataDirBusyError when another live process, or this one, owns the lock.
 */
export async function lockDataDir(dataDir: string, clock: Clock): Promise<DataDirLock> {
  const path = join(dataDir, lockFile);
  const self = await identifyProcess(process.pid);
  const record = { pid: process.pid, startMark: self?.startMark ?? '', token: newUuid() };
  for (let attempt = 0; attempt < 20; attempt++) {
    if (await createExclusive(path, JSON.stringify(record))) {
      await giveToOwnerOf(dataDir, path);
      return { release: () => releaseLock(path, record.token) };
    }
    const owner = await readRecord(path);
    if (owner !== undefined && (await isOwnerAlive(owner))) throw new DataDirBusyError(dataDir, owner.pid);
    // An unreadable file may be in the middle of a write, so it is invalid only if a second read fails too.
    if (owner === undefined) await clock.sleep(50);
    const again = await readRecord(path);
    if (again?.token === owner?.token) await deleteRecord(path, owner?.token);
  }
  throw new EmbeddedPostgresError(`The file ${path} cannot be written. Check who owns ${dataDir}, or set DATA_DIR.`);
}

/** Returns whether a live process has locked `dataDir`. */
export async function isDataDirLocked(dataDir: string): Promise<boolean> {
  const owner = await readRecord(join(dataDir, lockFile));
  return owner !== undefined && isOwnerAlive(owner);
}

async function createExclusive(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return false;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
    throw new EmbeddedPostgresError(
      `This user may not write ${path}. Run as the owner of that folder, or set DATA_DIR.`,
      { cause: error },
    );
  }
}

async function readRecord(path: string): Promise<z.output<typeof recordShape> | undefined> {
  try {
    return recordShape.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

async function isOwnerAlive(owner: z.output<typeof recordShape>): Promise<boolean> {
  const found = await identifyProcess(owner.pid);
  return found !== undefined && found.startMark === owner.startMark;
}

/** Deletes an invalid lock file. If another process has written a new lock file meanwhile, the new file stays. */
async function deleteRecord(path: string, token: string | undefined): Promise<void> {
  const movedPath = `${path}.${newUuid()}`;
  try {
    await rename(path, movedPath);
  } catch {
    return;
  }
  const moved = await readRecord(movedPath);
  if (moved !== undefined && moved.token !== token) await rename(movedPath, path);
  else await rm(movedPath, { force: true });
}

async function releaseLock(path: string, token: string): Promise<void> {
  const owner = await readRecord(path);
  if (owner?.token === token) await rm(path, { force: true });
}

/**
 * Gives a file that root created to the owner of the data folder, who must be able to read it. Does nothing for other
 * users.
 */
export async function giveToOwnerOf(dataDir: string, path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dataDir);
  await lchown(path, uid, gid);
}
