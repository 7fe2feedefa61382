import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, constants } from 'node:zlib';

/** A DID document in its JSON form. */
export interface DidDocumentJson {
  readonly id: string;
  readonly verificationMethod?: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

/** How a response is wrong. `hang`: the response is sent after `release()`. */
export type Misbehaviour =
  | 'hang'
  | 'error'
  | 'tombstone'
  | 'big-body'
  | 'slow-body'
  | 'endless-body'
  | 'drip-body'
  | 'compressed'
  | 'bomb'
  | 'many-keys'
  | 'polluting'
  | 'wrong-id'
  | 'not-json'
  | { readonly status: number; readonly location: string };

/** A did:plc directory on 127.0.0.1 that also serves `did:web:localhost%3A<port>`. */
export interface LoopbackPlc {
  readonly url: string;
  readonly port: number;
  /** Serves `document` for its id. */
  register(document: DidDocumentJson): void;
  /** Makes responses for `did` wrong in this way; undefined restores correct responses. */
  misbehave(did: string, how: Misbehaviour | undefined): void;
  /** Number of requests so far, for one DID or for all. */
  requests(did?: string): number;
  /** Number of requests without a response yet. */
  pending(): number;
  /** Sends all responses that hang. */
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
    const respond = (): void => send(response, documents.get(did), misbehaviours.get(did));
    if (misbehaviours.get(did) === 'hang') hanging.push(respond);
    else respond();
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
      for (const respond of hanging.splice(0)) respond();
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const quickly = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

function* endless(): Generator<string> {
  for (;;) yield ' '.repeat(16_384);
}

/** An endless body whose parts arrive at short intervals. */
async function* drip(): AsyncGenerator<string> {
  for (;;) {
    yield ' ';
    await sleep(50);
  }
}

function didOf(request: IncomingMessage): string {
  if (request.url === '/.well-known/did.json') {
    return `did:web:${(request.headers.host ?? '').replace(':', '%3A')}`;
  }
  return decodeURIComponent((request.url ?? '/').slice(1));
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function send(response: ServerResponse, document: DidDocumentJson | undefined, how: Misbehaviour | undefined): void {
  if (how === undefined || how === 'hang') {
    if (document === undefined) sendJson(response, 404, { message: 'not registered' });
    else sendJson(response, 200, document);
  } else if (typeof how === 'object') response.writeHead(how.status, { location: how.location }).end();
  else misbehaviours[how](response, document);
}

type Answer = (response: ServerResponse, document: DidDocumentJson | undefined) => void;

const start = (response: ServerResponse, more: Readonly<Record<string, string>> = {}): ServerResponse =>
  response.writeHead(200, { 'content-type': 'application/json', ...more });
const brotli = { 'content-encoding': 'br' };

const misbehaviours: Readonly<Record<Exclude<Extract<Misbehaviour, string>, 'hang'>, Answer>> = {
  error: (response) => sendJson(response, 500, { message: 'broken' }),
  tombstone: (response) => sendJson(response, 410, { message: 'gone' }),
  'big-body': (response, document) =>
    sendJson(response, 200, {
      ...document,
      alsoKnownAs: Array.from({ length: 4_000 }, () => 'at://a-name-that-takes-room.test'),
    }),
  'slow-body': (response) => void start(response).write('{"id":'),
  'endless-body': (response) => void Readable.from(endless()).pipe(start(response)),
  'drip-body': (response) => void Readable.from(drip()).pipe(start(response)),
  compressed: (response, document) =>
    void start(response, brotli).end(brotliCompressSync(JSON.stringify(document ?? null), quickly)),
  bomb: (response) => void start(response, brotli).end(brotliCompressSync(Buffer.alloc(100 * 1_048_576, ' '), quickly)),
  'many-keys': (response, document) =>
    sendJson(response, 200, {
      ...document,
      verificationMethod: Array.from({ length: 10_000 }, (_, at) => ({ id: `#k${at}` })),
    }),
  polluting: (response, document) => {
    const text = JSON.stringify({ ...document, pollution: 1 });
    const pollution = '"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}';
    start(response).end(text.replace('"pollution":1', pollution));
  },
  'wrong-id': (response, document) => sendJson(response, 200, { ...document, id: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }),
  'not-json': (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>did</h1>'),
};
