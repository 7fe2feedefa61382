import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';

/** How a PDS misbehaves for one repository. `endless`: there is always a next page; `hang`: there is no response. */
export type PdsMisbehaviour = 'error' | 'big-page' | 'endless' | 'hang' | 'not-json' | 'html' | 'redirect';

/** A PDS on 127.0.0.1 that serves block records of any repository. */
export interface LoopbackPds {
  readonly url: string;
  /** Publishes a block. @returns the record's URI. */
  block(blockerDid: string, blockedDid: string): string;
  unblock(blockerDid: string, blockedDid: string): void;
  /** Adds a record of any content. */
  addRecord(did: string, value: unknown): void;
  misbehave(did: string, how: PdsMisbehaviour | undefined): void;
  /** Number of requests about one repository, or about all. */
  requests(did?: string): number;
  /** Maximum number of concurrent requests about one repository. */
  requestsAtOnceMax(did: string): number;
  close(): Promise<void>;
}

interface Stored {
  readonly uri: string;
  readonly value: unknown;
}

const collection = 'app.bsky.graph.block';

export async function startLoopbackPds(): Promise<LoopbackPds> {
  const repositories = new Map<string, Stored[]>();
  const misbehaviours = new Map<string, PdsMisbehaviour>();
  const counts = new Map<string, number>();
  const open = new Map<string, number>();
  const openMax = new Map<string, number>();
  let lastKey = 0;
  const note = (did: string, response: ServerResponse): void => {
    const now = (open.get(did) ?? 0) + 1;
    open.set(did, now);
    openMax.set(did, Math.max(now, openMax.get(did) ?? 0));
    response.once('close', () => open.set(did, (open.get(did) ?? 0) - 1));
  };
  const recordsOf = (did: string): Stored[] => repositories.get(did) ?? [];
  const add = (did: string, value: unknown): string => {
    const uri = `at://${did}/${collection}/3k${String(++lastKey).padStart(11, '0')}`;
    // Newest first, the order of listRecords.
    repositories.set(did, [{ uri, value }, ...recordsOf(did)]);
    return uri;
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const did = searchParams.get('repo') ?? '';
    counts.set(did, (counts.get(did) ?? 0) + 1);
    note(did, response);
    const how = misbehaviours.get(did);
    if (how !== undefined) return misbehaveNow(response, how);
    if (searchParams.get('collection') !== collection) return json(response, 400, { error: 'InvalidRequest' });
    if (pathname.endsWith('.getRecord')) {
      const found = recordsOf(did).find(({ uri }) => uri.endsWith(`/${searchParams.get('rkey') ?? ''}`));
      return found === undefined ? json(response, 400, { error: 'RecordNotFound' }) : json(response, 200, found);
    }
    const limit = Number(searchParams.get('limit'));
    const start = Number(searchParams.get('cursor') ?? 0);
    const records = recordsOf(did).slice(start, start + limit);
    const hasMore = start + limit < recordsOf(did).length;
    return json(response, 200, { records, ...(hasMore ? { cursor: String(start + limit) } : {}) });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the PDS has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    block: (blockerDid, subject) =>
      add(blockerDid, { $type: collection, subject, createdAt: '2025-01-02T03:04:05.678Z' }),
    unblock: (blockerDid, blockedDid) => {
      const kept = recordsOf(blockerDid).filter(({ value }) => (value as { subject?: string }).subject !== blockedDid);
      repositories.set(blockerDid, kept);
    },
    addRecord: (did, value) => void add(did, value),
    misbehave: (did, how) => {
      if (how === undefined) misbehaviours.delete(did);
      else misbehaviours.set(did, how);
    },
    requests: (did) =>
      did === undefined ? [...counts.values()].reduce((sum, count) => sum + count, 0) : (counts.get(did) ?? 0),
    requestsAtOnceMax: (did) => openMax.get(did) ?? 0,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function misbehaveNow(response: ServerResponse, how: PdsMisbehaviour): void {
  const record = { uri: `at://did:web:x/${collection}/a`, value: { subject: 'did:web:nobody.test' } };
  switch (how) {
    case 'error':
      return json(response, 500, { error: 'InternalServerError' });
    case 'big-page':
      return json(response, 200, { records: [{ ...record, padding: 'x'.repeat(70_000) }] });
    case 'endless':
      return json(response, 200, { records: [record], cursor: 'again' });
    case 'not-json':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>blocks</h1>');
      return;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('{"records":[]}');
      return;
    case 'redirect':
      response.writeHead(302, { location: '/elsewhere' }).end();
      return;
    case 'hang':
  }
}
