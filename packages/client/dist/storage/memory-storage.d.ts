import type { Storage } from './storage.ts';
/** Keeps everything in memory, for tests and for sessions that end with the process. */
export declare function createMemoryStorage(): Storage;
