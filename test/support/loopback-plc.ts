import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';

/** A DID document as it goes over the wire. */
export interface DidDocumentJson {
  readonly id: string;
  readonly verificationMethod?: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

/** How an answer goes wrong. `hang` answers after `release()` only. */
export type Misbehaviour =
  | 'hang'
  | 'error'
  | 'tombstone'
  | 'big-body'
  | 'slow-body'
  | 'wrong-id'
  | 'not-json'
  | 'redirect';

/** A did:plc directory on 127.0.0.1 that also serves `did:web:localhost%3A<port>`. */
export interface LoopbackPlc {
  readonly url: string;
  readonly port: number;
  /** Serves `document` for its id from now on. */
  register(document: DidDocumentJson): void;
  /** `did` is answered this way until told otherwise; undefined mends it. */
  misbehave(did: string, how: Misbehaviour | undefined): void;
  /** Requests so far, for one DID or for all. */
  requests(did?: string): number;
  /** Requests that have no answer yet. */
  pending(): number;
  /** Answers everything that hangs. */
  release(): void;
  close(): Promise<void>;
}

export async function startLoopbackPlc(): Promise<LoopbackPlc> {
  const documents = new Map<string, DidDocumentJson>();
  const misbehaviours = new Map<string, Misbehaviour>();
  const counts = new Map<string, number>();
  const hanging: (() => void)[] = [];
  const server = createServer((request, response) => {
    const did = didOf(request);
    counts.set(did, (counts.get(did) ?? 0) + 1);
    const answer = (): void => send(response, documents.get(did), misbehaviours.get(did));
    if (misbehaviours.get(did) === 'hang') hanging.push(answer);
    else answer();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the directory has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    register: (document) => documents.set(document.id, document),
    misbehave: (did, how) => {
      if (how === undefined) misbehaviours.delete(did);
      else misbehaviours.set(did, how);
    },
    requests: (did) =>
      did === undefined ? [...counts.values()].reduce((sum, count) => sum + count, 0) : (counts.get(did) ?? 0),
    pending: () => hanging.length,
    release: () => {
      for (const answer of hanging.splice(0)) answer();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function didOf(request: IncomingMessage): string {
  if (request.url === '/.well-known/did.json') {
    return `did:web:${(request.headers.host ?? '').replace(':', '%3A')}`;
  }
  return decodeURIComponent((request.url ?? '/').slice(1));
}

function send(response: ServerResponse, document: DidDocumentJson | undefined, how: Misbehaviour | undefined): void {
  const json = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  switch (how) {
    case 'error':
      return json(500, { message: 'broken' });
    case 'tombstone':
      return json(410, { message: 'gone' });
    case 'big-body':
      return json(200, {
        ...document,
        alsoKnownAs: Array.from({ length: 4_000 }, () => 'at://a-name-that-takes-room.test'),
      });
    case 'slow-body':
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":');
      return;
    case 'wrong-id':
      return json(200, { ...document, id: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' });
    case 'not-json':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>did</h1>');
      return;
    case 'redirect':
      response.writeHead(302, { location: '/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }).end();
      return;
    case 'hang':
    case undefined:
      return document === undefined ? json(404, { message: 'not registered' }) : json(200, document);
  }
}
