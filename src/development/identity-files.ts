import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { newUuid } from '#platform/ids.ts';
import { createIdentity, identitySchema, isIdentityName } from './identity.ts';
import type { DevelopmentIdentity } from './identity.ts';

/** The server whose tokens the commands sign, as it was when it last started. */
const serverSchema = z.object({ serviceDid: z.string() });

/** An error that the developer can fix, with a message that says how. */
export class IdentityFileError extends Error {
  override readonly name = 'IdentityFileError';
  readonly code: 'BadName' | 'TooManyPeople' | 'PersonNotFound' | 'BadFile';

  constructor(code: IdentityFileError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * The development identities of one data folder. Each person is one file, so that a server and commands can create
 * people at the same time without a lock.
 */
export interface IdentityFiles {
  /** Returns all people in the order of their names. */
  list(): Promise<DevelopmentIdentity[]>;
  /**
   * Returns the person, who is created if missing.
   * @throws IdentityFileError BadName, TooManyPeople, BadFile.
   */
  findOrCreate(name: string): Promise<DevelopmentIdentity>;
  /**
   * Returns an existing person.
   * @throws IdentityFileError BadName, PersonNotFound, BadFile.
   */
  find(name: string): Promise<DevelopmentIdentity>;
  /** Stores what commands must know of the running server. */
  writeServiceDid(serviceDid: string): Promise<void>;
  /** Returns the DID of the server that last started on this data folder, or undefined if there was none. */
  readServiceDid(): Promise<string | undefined>;
}

export const peopleMax = 100;
const fileMode = 0o600;
const folderMode = 0o700;

/** Uses the folder `development` below `dataDir`, which the first write creates. */
export function openIdentityFiles(dataDir: string): IdentityFiles {
  const people = join(dataDir, 'development', 'people');
  const serverFile = join(dataDir, 'development', 'server.json');

  async function names(): Promise<string[]> {
    const files = await readdir(people).catch(ignoreMissing);
    const found = (files ?? []).filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
    return found.filter(isIdentityName).toSorted().slice(0, peopleMax);
  }

  async function read(name: string): Promise<DevelopmentIdentity | undefined> {
    if (!isIdentityName(name)) throw badName();
    const text = await readFile(join(people, `${name}.json`), 'utf8').catch(ignoreMissing);
    if (text === undefined) return undefined;
    const identity = parseFile(identitySchema, text);
    if (identity?.name !== name)
      throw new IdentityFileError('BadFile', `The file of this person in ${people} cannot be read.`);
    return identity;
  }

  async function create(name: string): Promise<void> {
    if ((await names()).length >= peopleMax)
      throw new IdentityFileError('TooManyPeople', `There are ${peopleMax} people. Remove files in ${people} first.`);
    await mkdir(people, { recursive: true, mode: folderMode });
    await writeNewFile(join(people, `${name}.json`), JSON.stringify(await createIdentity(name)));
  }

  async function find(name: string): Promise<DevelopmentIdentity> {
    const identity = await read(name);
    if (identity !== undefined) return identity;
    throw new IdentityFileError(
      'PersonNotFound',
      'There is no such person. Create one with: npm run admin -- dev person NAME',
    );
  }

  return {
    list: async () => {
      const all = await Promise.all((await names()).map((name) => read(name).catch(() => undefined)));
      return all.filter((identity) => identity !== undefined);
    },
    find,
    async findOrCreate(name) {
      const known = await read(name);
      if (known !== undefined) return known;
      await create(name);
      return find(name);
    },
    async writeServiceDid(serviceDid) {
      await mkdir(join(dataDir, 'development'), { recursive: true, mode: folderMode });
      await writeFile(serverFile, JSON.stringify({ serviceDid }), { mode: fileMode });
    },
    async readServiceDid() {
      const text = await readFile(serverFile, 'utf8').catch(ignoreMissing);
      return text === undefined ? undefined : parseFile(serverSchema, text)?.serviceDid;
    },
  };
}

/** Writes a whole file, or leaves the one that another process has created in the meantime. */
async function writeNewFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${newUuid()}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: fileMode });
    await link(draft, path).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
}

function parseFile<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function badName(): IdentityFileError {
  return new IdentityFileError(
    'BadName',
    'A name has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter.',
  );
}

function ignoreMissing(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
