import type { Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import type { Sql } from '#storage/connection/database.ts';
import { handleOf, signServiceToken } from './identity.ts';
import type { DevelopmentDocument, DevelopmentIdentity } from './identity.ts';
import { IdentityFileError } from './identity-files.ts';
import type { IdentityFiles } from './identity-files.ts';
import { isLocalRequest } from './local-request.ts';
import { readStoredRows } from './stored-rows.ts';

export interface DevelopmentPageParts {
  readonly files: IdentityFiles;
  readonly findDocument: (did: string) => Promise<DevelopmentDocument | undefined>;
  readonly sql: Sql;
  readonly clock: Clock;
  readonly serviceDid: string;
  /** The full names (NSIDs) of all methods. */
  readonly methods: readonly string[];
}

const statusOfErrors = {
  BadName: 400,
  PersonNotFound: 404,
  TooManyPeople: 409,
  BadFile: 500,
} as const satisfies Record<IdentityFileError['code'], ContentfulStatusCode>;
const groupIdForm = new RegExp(`^(?:[0-9a-f]{2}){1,${limits.groupIdHexLengthMax / 2}}$`);

/** Mounts the routes below `/dev/`. Requests that are not local get the same response as paths that do not exist. */
export function mountDevelopmentPages(http: Hono, parts: DevelopmentPageParts): void {
  http.use('/dev/*', async (c, next) => {
    if (!isLocalRequest((name) => c.req.header(name))) return c.notFound();
    return next();
  });
  http.get('/dev/people', async (c) => {
    const people = await parts.files.list();
    return c.json({ serviceDid: parts.serviceDid, people: people.map(entryOf) });
  });
  http.post('/dev/people', (c) =>
    withErrors(c, async () => c.json(entryOf(await parts.files.findOrCreate(c.req.query('name') ?? '')))),
  );
  http.get('/dev/did-document', async (c) => {
    const document = await parts.findDocument(c.req.query('did') ?? '');
    if (document === undefined) return c.json({ error: 'NotFound', message: 'This is no development identity.' }, 404);
    return c.json(document);
  });
  http.get('/dev/token', (c) => withErrors(c, () => tokenResponse(c, parts)));
  http.get('/dev/stored-rows', async (c) => {
    const convoId = c.req.query('convoId') ?? '';
    if (!groupIdForm.test(convoId)) return refuse(c, 'convoId must be the id of a conversation, in lower-case hex.');
    return c.json({ tables: await readStoredRows(parts.sql, Buffer.from(convoId, 'hex')) });
  });
}

async function tokenResponse(
  c: Context,
  { files, clock, serviceDid, methods }: DevelopmentPageParts,
): Promise<Response> {
  const method = c.req.query('lxm') ?? '';
  if (!methods.includes(method)) return refuse(c, 'lxm must be the full name of a method, as docs/api lists them.');
  const person = await files.find(c.req.query('as') ?? '');
  return c.json({ token: await signServiceToken(person, { audience: serviceDid, method, clock }) });
}

function entryOf(identity: DevelopmentIdentity): { name: string; did: string; handle: string } {
  return { name: identity.name, did: identity.did, handle: handleOf(identity) };
}

function refuse(c: Context, message: string): Response {
  return c.json({ error: 'InvalidRequest', message }, 400);
}

async function withErrors(c: Context, task: () => Promise<Response>): Promise<Response> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof IdentityFileError)) throw error;
    return c.json({ error: error.code, message: error.message }, statusOfErrors[error.code]);
  }
}
