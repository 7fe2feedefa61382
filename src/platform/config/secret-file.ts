import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface SecretFile {
  /** The name of the variable with the path. */
  readonly variable: string;
  readonly path: string;
  /** The folder of systemd credentials. Only the service can enter it, so file modes in it are not checked. */
  readonly credentialsFolder: string | undefined;
  /** Whether other users of this machine may be able to read the file. */
  readonly mayBeShared: boolean;
}

const sizeBytesMax = 65_536;

/** Reads a secret from a file and trims it, or returns the problem with the file and its remedy. */
export function readSecretFile(file: SecretFile): { readonly text: string } | { readonly problem: string } {
  const { variable, path } = file;
  try {
    const { mode, size } = statSync(path);
    if (size > sizeBytesMax) return { problem: `${variable}: the file is too large for a secret. Check the path.` };
    const isCredential = file.credentialsFolder !== undefined && dirname(path) === file.credentialsFolder;
    if (!file.mayBeShared && !isCredential && (mode & 0o077) !== 0)
      return {
        problem: `${variable}: others on this machine may read the file. Make it the service's own: chmod 600, or pass it with LoadCredential= of systemd.`,
      };
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? { problem: `${variable}: the file is empty. Write the secret into it.` } : { text };
  } catch {
    return { problem: `${variable}: the file cannot be read. Check that it exists and who may read it.` };
  }
}
