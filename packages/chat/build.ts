import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';

const folder = import.meta.dirname;
const finished = join(folder, 'dist');

/** Builds beside `dist` and then replaces it, so that a server that starts in the meantime never reads half a build. */
async function main(): Promise<void> {
  const inProgress = await mkdtemp(join(folder, 'dist-'));
  try {
    await build({
      configFile: join(folder, 'vite.config.ts'),
      logLevel: 'error',
      build: { outDir: inProgress, emptyOutDir: true },
    });
    const replaced = `${inProgress}-replaced`;
    // A server of another user may serve it.
    await chmod(inProgress, 0o755);
    await rename(finished, replaced).catch(() => undefined);
    await rename(inProgress, finished);
    await rm(replaced, { recursive: true, force: true });
  } finally {
    await rm(inProgress, { recursive: true, force: true });
  }
}

await main();
