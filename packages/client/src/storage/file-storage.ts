import { parseJson, stringifyJson } from '../api/bytes.ts';
import type { Storage, StorageChange } from './storage.ts';

/** What `node:fs/promises` has; the app passes it, so that this package needs no import of Node. */
export interface FileSystem {
  readFile(path: string): Promise<Uint8Array>;
  mkdir(path: string, options: { readonly recursive: true; readonly mode: number }): Promise<unknown>;
  rename(from: string, to: string): Promise<void>;
  open(path: string, flags: 'a' | 'w', mode: number): Promise<FileHandle>;
}

interface FileHandle {
  appendFile(data: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** After this many lines the journal is written anew with the present values. */
const linesMax = 2_000;

/**
 * Keeps everything in one journal file below `folder`: each write is one line of JSON, which is on disk when the write resolves. A line
 * that a crash has cut off is ignored. Files are readable by their owner only.
 * @throws Error of the file system.
 */
export async function openFileStorage(fs: FileSystem, folder: string): Promise<Storage & { close(): Promise<void> }> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/journal.jsonl`;
  const { values, lineCount } = await readJournal(fs, path);
  let lines = lineCount;
  await rewrite();
  let file = await fs.open(path, 'a', 0o600);
  let last: Promise<void> = Promise.resolve();
  /** A write has failed, so that the journal may end with a part of a line. */
  let isSpoiled = false;

  /** Writes the present values to a new file, which then replaces the journal. */
  async function rewrite(): Promise<void> {
    const fresh = await fs.open(`${path}.new`, 'w', 0o600);
    const changes = [...values].map(([key, value]) => ({ key, value }));
    await fresh.appendFile(lineOf(changes));
    await fresh.sync();
    await fresh.close();
    await fs.rename(`${path}.new`, path);
    lines = 1;
  }

  async function startAnew(): Promise<void> {
    await file.close();
    await rewrite();
    file = await fs.open(path, 'a', 0o600);
  }

  async function append(changes: readonly StorageChange[]): Promise<void> {
    if (isSpoiled) await startAnew();
    isSpoiled = true;
    await file.appendFile(lineOf(changes));
    await file.sync();
    isSpoiled = false;
    apply(values, changes);
    lines += 1;
    if (lines >= linesMax) await startAnew();
  }

  return {
    read: async (key) => values.get(key),
    keys: async (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)),
    write(changes) {
      const writing = last.then(() => append(changes));
      last = writing.catch(() => undefined);
      return writing;
    },
    async close() {
      await last;
      await file.close();
    },
  };
}

function apply(values: Map<string, Uint8Array>, changes: readonly StorageChange[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
}

function lineOf(changes: readonly StorageChange[]): string {
  return `${stringifyJson(changes.map(({ key, value }) => (value === undefined ? { key } : { key, value })))}\n`;
}

async function readJournal(
  fs: FileSystem,
  path: string,
): Promise<{ values: Map<string, Uint8Array>; lineCount: number }> {
  const values = new Map<string, Uint8Array>();
  const bytes = await fs.readFile(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Uint8Array();
    throw error;
  });
  // Without its line feed the last line is one that a crash has cut off.
  const lines = new TextDecoder().decode(bytes).split('\n').slice(0, -1);
  for (const line of lines) apply(values, parseJson(line) as readonly StorageChange[]);
  return { values, lineCount: lines.length };
}
