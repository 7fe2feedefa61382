import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const folders = {
  built: join(root, 'packages/chat/dist'),
  sources: [join(root, 'packages/chat'), join(root, 'packages/client/src')],
} as const;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** One file of the built chat page. */
export interface ChatFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** Files by their path below the built folder, with forward slashes. */
export type ChatFiles = ReadonlyMap<string, ChatFile>;

let building: Promise<boolean> | undefined;

/**
 * Builds the chat page in a child process if it is missing or older than its sources. Calls of one process share the build.
 * @returns whether there is a page to serve.
 */
export function buildChatPage(): Promise<boolean> {
  building ??= buildIfOld().finally(() => (building = undefined));
  return building;
}

/** Reads the built page, or returns undefined when there is none. */
export async function readChatFiles(): Promise<ChatFiles | undefined> {
  const entries = await readdir(folders.built, { recursive: true }).catch(() => []);
  const paths = entries.filter((path) => extname(path) in types);
  const files = await Promise.all(
    paths.map(async (path): Promise<[string, ChatFile]> => {
      const body = new Uint8Array(await readFile(join(folders.built, path)));
      return [path.replaceAll('\\', '/'), { body, type: types[extname(path)] ?? '' }];
    }),
  );
  return files.length === 0 ? undefined : new Map(files);
}

async function buildIfOld(): Promise<boolean> {
  const builtMs = await changedMs(join(folders.built, 'index.html'));
  const sourcesMs = await Promise.all(folders.sources.map((folder) => newestMs(folder)));
  if (builtMs > Math.max(...sourcesMs)) return true;
  const child = spawn(process.execPath, [join(root, 'packages/chat/build.ts')], { stdio: 'ignore' });
  // The server may stop while the build runs.
  child.unref();
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return exitCode === 0 || builtMs > 0;
}

async function newestMs(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true });
  const times = entries
    .filter(({ name }) => name !== 'node_modules' && !name.startsWith('dist'))
    .map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? newestMs(path) : changedMs(path);
    });
  return Math.max(0, ...(await Promise.all(times)));
}

/** The time at which a file was last changed; 0 when it does not exist. */
async function changedMs(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.mtimeMs ?? 0;
}
