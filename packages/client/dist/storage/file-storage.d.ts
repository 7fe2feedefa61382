import type { Storage } from './storage.ts';
/** What `node:fs/promises` has; the app passes it, so that this package needs no import of Node. */
export interface FileSystem {
    readFile(path: string): Promise<Uint8Array>;
    mkdir(path: string, options: {
        readonly recursive: true;
        readonly mode: number;
    }): Promise<unknown>;
    rename(from: string, to: string): Promise<void>;
    open(path: string, flags: 'a' | 'w', mode: number): Promise<FileHandle>;
}
interface FileHandle {
    appendFile(data: string): Promise<void>;
    sync(): Promise<void>;
    close(): Promise<void>;
}
/**
 * Keeps everything in one journal file below `folder`: each write is one line of JSON, which is on disk when the write resolves. A line
 * that a crash has cut off is ignored. Files are readable by their owner only.
 * @throws Error of the file system.
 */
export declare function openFileStorage(fs: FileSystem, folder: string): Promise<Storage & {
    close(): Promise<void>;
}>;
export {};
