import type { Storage } from './storage.ts';

/** Keeps everything in memory, for tests and for sessions that end with the process. */
export function createMemoryStorage(): Storage {
  const values = new Map<string, Uint8Array>();
  return {
    read: async (key) => values.get(key),
    keys: async (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)),
    async write(changes) {
      for (const { key, value } of changes) {
        if (value === undefined) values.delete(key);
        else values.set(key, value);
      }
    },
  };
}
