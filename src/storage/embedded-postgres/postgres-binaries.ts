import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { EmbeddedPostgresError } from './embedded-postgres-error.ts';

/** Absolute paths of the Postgres programs and of their folder. */
export interface PostgresBinaries {
  readonly folder: string;
  readonly initdb: string;
  readonly postgres: string;
}

const binariesModule = z.object({ initdb: z.string(), postgres: z.string() });

const require = createRequire(import.meta.url);

/** Windows is not supported, because its processes cannot be stopped by signals. */
const supportedPlatforms: readonly string[] = ['linux', 'darwin'];

/**
 * Finds the Postgres programs in the optional dependency of `embedded-postgres` for this platform.
 * @throws EmbeddedPostgresError that recommends DATABASE_URL when there are none.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (!supportedPlatforms.includes(process.platform)) throw new EmbeddedPostgresError(absent(name));
  const location = resolveFrom(require.resolve('embedded-postgres'), name);
  if (location === undefined) throw new EmbeddedPostgresError(absent(name));
  const programs = binariesModule.parse(await import(pathToFileURL(location).href));
  return { folder: dirname(programs.postgres), initdb: programs.initdb, postgres: programs.postgres };
}

function resolveFrom(parent: string, name: string): string | undefined {
  try {
    return createRequire(parent).resolve(name);
  } catch {
    return undefined;
  }
}

function absent(name: string): string {
  return `There is no embedded Postgres for this machine (${name}). Install with "npm ci" including optional packages, or set DATABASE_URL to a Postgres 15 or newer.`;
}
