import { lchown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';
import { identifyProcess } from './process-identity.ts';

/** The right to start and stop the Postgres of one data folder. */
export interface DataDirLock {
  release(): Promise<void>;
}

/** Another live process holds the data folder. */
export class DataDirBusyError extends EmbeddedPostgresError {
  constructor(dataDir: string, pid: number) {
    super(
      `Another Nightjar (process ${pid}) is using ${dataDir}. Stop it, or give this one its own folder with DATA_DIR.`,
    );
  }
}

const claimFile = 'nightjar.pid.json';
const recordShape = z.object({ pid: z.int(), startMark: z.string(), token: z.string() });

/**
 * Takes `dataDir` for this process until release or death: a claim whose process is gone is void.
 * @throws DataDirBusyError when another live process, or this one, holds it.
 */
export async function lockDataDir(dataDir: string, clock: Clock): Promise<DataDirLock> {
  const path = join(dataDir, claimFile);
  const self = await identifyProcess(process.pid);
  const record = { pid: process.pid, startMark: self?.startMark ?? '', token: newUuid() };
  for (let attempt = 0; attempt < 20; attempt++) {
    if (await createExclusive(path, JSON.stringify(record))) {
      await giveToOwnerOf(dataDir, path);
      return { release: () => releaseClaim(path, record.token) };
    }
    const holder = await readRecord(path);
    if (holder !== undefined && (await isHolderAlive(holder))) throw new DataDirBusyError(dataDir, holder.pid);
    // An unreadable record may be one that is being written: only a second look makes it void.
    if (holder === undefined) await clock.sleep(50);
    const again = await readRecord(path);
    if (again?.token === holder?.token) await voidRecord(path, holder?.token);
  }
  throw new EmbeddedPostgresError(`The file ${path} cannot be written. Check who owns ${dataDir}, or set DATA_DIR.`);
}

/** Whether a live process holds `dataDir`. */
export async function isDataDirLocked(dataDir: string): Promise<boolean> {
  const holder = await readRecord(join(dataDir, claimFile));
  return holder !== undefined && isHolderAlive(holder);
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

async function isHolderAlive(holder: z.output<typeof recordShape>): Promise<boolean> {
  const found = await identifyProcess(holder.pid);
  return found !== undefined && found.startMark === holder.startMark;
}

/** Of two processes that void the same record one may move a fresh claim away; it then puts it back. */
async function voidRecord(path: string, token: string | undefined): Promise<void> {
  const aside = `${path}.${newUuid()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const moved = await readRecord(aside);
  if (moved !== undefined && moved.token !== token) await rename(aside, path);
  else await rm(aside, { force: true });
}

async function releaseClaim(path: string, token: string): Promise<void> {
  const holder = await readRecord(path);
  if (holder?.token === token) await rm(path, { force: true });
}

/** Under root, files must stay readable for the user whose folder it is. */
export async function giveToOwnerOf(dataDir: string, path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dataDir);
  await lchown(path, uid, gid);
}
