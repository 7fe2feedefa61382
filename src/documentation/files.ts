import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, posix, relative } from 'node:path';

/** A file that may be served. */
export interface ServedFile {
  /** The path in the project, with forward slashes. */
  readonly path: string;
  readonly location: string;
}

const filesMax = 2_000;
const sizeBytesMax = 8 * 1_024 * 1_024;
/** Names that need no escape in an address. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Lists the files below a folder of the project. Symbolic links, files with unusual names, and very large files are left
 * out. A folder that is missing has no files.
 */
export async function filesBelow(projectFolder: string, folder: string): Promise<ServedFile[]> {
  const entries = await readdir(join(projectFolder, folder), { recursive: true, withFileTypes: true }).catch(() => []);
  const files: ServedFile[] = [];
  for (const entry of entries.slice(0, filesMax)) {
    const location = join(entry.parentPath, entry.name);
    const path = posix.join(...relative(projectFolder, location).split(/[\\/]/));
    if (entry.isFile() && path.split('/').every((part) => plainName.test(part))) files.push({ path, location });
  }
  return files;
}

/** Returns the content of a file, or undefined if it is missing, a symbolic link, or too large. */
export async function contentOf({ location }: ServedFile): Promise<Buffer | undefined> {
  const stats = await lstat(location).catch(() => undefined);
  return stats?.isFile() === true && stats.size <= sizeBytesMax ? readFile(location) : undefined;
}
