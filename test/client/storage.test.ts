import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFileStorage } from '#client/storage/file-storage.ts';
import type { FileSystem } from '#client/storage/file-storage.ts';
import type { Storage } from '#client/storage/storage.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import { storageProblems } from './storage-contract.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-storage-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const value = (text: string): Uint8Array => new TextEncoder().encode(text);

test('the storage in memory keeps the contract', async () => {
  const storage = createMemoryStorage();
  expect(await storageProblems(storage, async () => storage)).toEqual([]);
});

test('the storage in a file keeps the contract, also after it was opened again', async () => {
  const path = join(folder, 'contract');
  const opened = [await openFileStorage(fs, path)];
  const reopen = async (): Promise<Storage> => {
    await opened[0]?.close();
    opened.push(await openFileStorage(fs, path));
    return opened[1] as Storage;
  };
  expect(await storageProblems(opened[0] as Storage, reopen)).toEqual([]);
  await opened[1]?.close();
});

test('a storage that loses a deletion is reported', async () => {
  const storage = createMemoryStorage();
  const write: typeof storage.write = (changes) => storage.write(changes.filter((each) => each.value !== undefined));
  expect(await storageProblems({ ...storage, write }, async () => storage)).not.toEqual([]);
});

test('a line that a crash has cut off is ignored, and the lines before it are kept', async () => {
  const path = join(folder, 'cut');
  const storage = await openFileStorage(fs, path);
  await storage.write([{ key: 'a', value: value('kept') }]);
  await storage.close();
  await appendFile(join(path, 'journal.jsonl'), '[{"key":"a","val');
  const again = await openFileStorage(fs, path);
  expect(await again.read('a')).toEqual(value('kept'));
  await again.close();
});

test('after a write that failed halfway, as on a full disk, later writes can be read', async () => {
  const path = join(folder, 'full');
  let isFull = false;
  const filling: FileSystem = {
    readFile: (name) => fs.readFile(name),
    mkdir: (name, options) => fs.mkdir(name, options),
    rename: (from, to) => fs.rename(from, to),
    async open(name, flags, mode) {
      const file = await fs.open(name, flags, mode);
      return {
        sync: () => file.sync(),
        close: () => file.close(),
        async appendFile(data) {
          if (!isFull) return file.appendFile(data);
          await file.appendFile(data.slice(0, data.length / 2));
          throw Object.assign(new Error('no space is left'), { code: 'ENOSPC' });
        },
      };
    },
  };
  const storage = await openFileStorage(filling, path);
  isFull = true;
  await expect(storage.write([{ key: 'a', value: value('lost') }])).rejects.toMatchObject({ code: 'ENOSPC' });
  expect(await storage.read('a')).toBeUndefined();
  isFull = false;
  await storage.write([{ key: 'b', value: value('kept') }]);
  await storage.close();
  const again = await openFileStorage(fs, path);
  expect([await again.read('a'), await again.read('b')]).toEqual([undefined, value('kept')]);
  await again.close();
});

test('the file is readable by its owner only and does not grow without limit', async () => {
  const path = join(folder, 'growth');
  const storage = await openFileStorage(fs, path);
  for (let count = 0; count < 2_100; count++) await storage.write([{ key: 'a', value: value(String(count)) }]);
  await storage.close();
  const file = join(path, 'journal.jsonl');
  expect((await readFile(file, 'utf8')).split('\n').length).toBeLessThan(200);
  expect((await fs.stat(file)).mode & 0o077).toBe(0);
});
