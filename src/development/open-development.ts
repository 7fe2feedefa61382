import type { Hono } from 'hono';
import type { Clock } from '#platform/clock.ts';
import type { Sql } from '#storage/connection/database.ts';
import { mountDevelopmentPages } from './development-pages.ts';
import { documentOf } from './identity.ts';
import type { DevelopmentDocument } from './identity.ts';
import { openIdentityFiles } from './identity-files.ts';

/** The development identities of a running server. */
export interface Development {
  /** Returns the DID document of a development identity, or undefined for every other DID. */
  readonly findDocument: (did: string) => Promise<DevelopmentDocument | undefined>;
  mountPages(http: Hono, identity: { readonly serviceDid: string }): void;
  /** Stores the DID of the service for the commands that sign tokens for it. */
  noteServiceDid(serviceDid: string): Promise<void>;
}

/** The people who exist from the first start. */
const firstPeople = ['alice', 'bob', 'carol'];

/** Opens the development identities below `dataDir`, and creates the first people if they are missing. */
export async function openDevelopment(deps: {
  readonly dataDir: string;
  readonly sql: Sql;
  readonly clock: Clock;
  readonly methods: readonly string[];
}): Promise<Development> {
  const { dataDir, ...pages } = deps;
  const files = openIdentityFiles(dataDir);
  for (const name of firstPeople) await files.findOrCreate(name);
  const documents = new Map<string, DevelopmentDocument>();
  const findDocument: Development['findDocument'] = async (did) => {
    const known = documents.get(did);
    if (known !== undefined) return known;
    // A command may have created people since the last call.
    for (const identity of await files.list()) documents.set(identity.did, documentOf(identity));
    return documents.get(did);
  };
  return {
    findDocument,
    mountPages: (http, { serviceDid }) => mountDevelopmentPages(http, { ...pages, files, findDocument, serviceDid }),
    noteServiceDid: (serviceDid) => files.writeServiceDid(serviceDid),
  };
}
