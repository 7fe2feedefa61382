import type { Storage } from './storage.ts';
/**
 * Keeps everything in one IndexedDB database of the page's origin; each write is one strict transaction.
 * @throws DOMException when the browser refuses the database.
 */
export declare function openIndexedDbStorage(databaseName: string): Promise<Storage & {
    close(): void;
}>;
