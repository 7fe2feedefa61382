import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface SecretFile {
  /** The environment variable that contains the path. */
  readonly variable: string;
  readonly path: string;
  /** The folder of systemd credentials. Only the service can enter it, so file modes in it are not checked. */
  readonly credentialsFolder: string | undefined;
  /** Whether the file is accepted although other users of this machine can read it. */
  readonly mayBeShared: boolean;
}

const sizeBytesMax = 65_536;

/**
 * Reads a secret from a file and removes white space around it.
 * @returns the secret, or the problem with the file and its remedy.
 */
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
