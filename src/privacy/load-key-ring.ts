import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from './key-ring.ts';
import type { KeyRing } from './key-ring.ts';

const fileName = 'identity-keys';

/** Generates the text of a key ring with one key, of id 1. */
export function newKeyRingText(): string {
  return `1:${newSecret(32).toString('base64')}`;
}

/**
 * Loads the key ring of the setting IDENTITY_KEY; without the setting, outside production, the one under `dataDir`,
 * which is created once.
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
