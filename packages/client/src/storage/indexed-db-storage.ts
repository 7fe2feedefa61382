import type { Storage } from './storage.ts';

const storeName = 'values';

/**
 * Keeps everything in one IndexedDB database of the page's origin; each write is one strict transaction.
 * @throws DOMException when the browser refuses the database.
 */
export async function openIndexedDbStorage(databaseName: string): Promise<Storage & { close(): void }> {
  const opening = indexedDB.open(databaseName, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore(storeName));
  const database = await resultOf(opening);
  const objects = (mode: IDBTransactionMode): IDBObjectStore =>
    database.transaction(storeName, mode, { durability: 'strict' }).objectStore(storeName);
  return {
    async read(key) {
      const value: unknown = await resultOf<unknown>(objects('readonly').get(key));
      return value instanceof Uint8Array ? value : undefined;
    },
    async keys(prefix) {
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      return (await resultOf(objects('readonly').getAllKeys(range))).map(String);
    },
    async write(changes) {
      const store = objects('readwrite');
      try {
        for (const { key, value } of changes) {
          if (value === undefined) store.delete(key);
          else store.put(value, key);
        }
      } catch (error) {
        // A refused value would leave the changes before it.
        store.transaction.abort();
        throw error;
      }
      await completed(store.transaction);
    },
    close: () => database.close(),
  };
}

function resultOf<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result), { once: true });
    request.addEventListener('error', () => reject(request.error as Error), { once: true });
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve(), { once: true });
    transaction.addEventListener('abort', () => reject(transaction.error as Error), { once: true });
  });
}
