import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface SecretFile {
  /** The name of the variable that holds the path. */
  readonly variable: string;
  readonly path: string;
  /** Where systemd puts credentials: only the service can enter that folder, whatever the modes in it say. */
  readonly credentialsFolder: string | undefined;
  /** Whether others on this machine may be able to read the file. */
  readonly mayBeShared: boolean;
}

const sizeBytesMax = 65_536;

/** The text of a secret's file without the space around it, or what is wrong with the file and what to do. */
export function readSecretFile(file: SecretFile): { readonly text: string } | { readonly problem: string } {
  const { variable, path } = file;
  try {
    const { mode, size } = statSync(path);
    if (size > sizeBytesMax) return { problem: `${variable}: the file is too large for a secret. Check the path.` };
    const isCredential = file.credentialsFolder !== undefined && dirname(path) === file.credentialsFolder;
    if (!file.mayBeShared && !isCredential && (mode & 0o077) !== 0)
      return {
        problem: `${variable}: others on this machine may read the file. Make it the service's own: chmod 600, or hand it over with LoadCredential= of systemd.`,
      };
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? { problem: `${variable}: the file is empty. Write the secret into it.` } : { text };
  } catch {
    return { problem: `${variable}: the file cannot be read. Check that it exists and who may read it.` };
  }
}
