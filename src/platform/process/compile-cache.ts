import { statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Lets Node cache compiled code below `dataDir`, so that the next start takes a third less processor time. Node runs
 * cached code without a check, so the folder must exist, belong to this user, and be writable by no other user.
 */
export function enableCompileCacheIn(dataDir: string): void {
  const folder = statSync(dataDir, { throwIfNoEntry: false });
  if (folder === undefined || folder.uid !== process.getuid?.() || (folder.mode & 0o022) !== 0) return;
  enableCompileCache(join(dataDir, 'compile-cache'));
}
