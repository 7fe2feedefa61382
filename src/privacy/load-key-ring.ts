import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from './key-ring.ts';
import type { KeyRing } from './key-ring.ts';

const fileName = 'identity-keys';

/** Generates the text of a key ring that has one random key with the id 1. */
export function newKeyRingText(): string {
  return `1:${newSecret(32).toString('base64')}`;
}

/**
 * Loads the key ring from the setting IDENTITY_KEY. Without the setting, which only production requires, the key ring
 * is in a file under `dataDir`, which the first call creates.
 * @throws KeyRingError when the text is not a key ring.
 */
export async function loadKeyRing(source: {
  identityKey: string | undefined;
  dataDir: string;
}): Promise<{ ring: KeyRing; created: boolean }> {
  if (source.identityKey !== undefined) return { ring: parseKeyRing(source.identityKey), created: false };
  const path = join(source.dataDir, fileName);
  await mkdir(source.dataDir, { recursive: true });
  try {
    // `wx` fails if the file exists, so two processes that start at once use the same key.
    await writeFile(path, `${newKeyRingText()}\n`, { flag: 'wx', mode: 0o600 });
    return { ring: parseKeyRing(await readFile(path, 'utf8')), created: true };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    return { ring: parseKeyRing(await readFile(path, 'utf8')), created: false };
  }
}
