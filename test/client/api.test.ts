import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiError, isApiError, NoResponseError, TokenError } from '#client/api/api-error.ts';
import { entriesOf, messagesAfter } from '#client/api/pages.ts';
import { retryDefaults, waitBeforeAttemptMs } from '#client/api/retry.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import type { Account } from '../support/clients/account.ts';
import { craftMessage, craftedSuite } from '../support/mls/crafted-conversation.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { clientApi } from './client-api.ts';

let bed: TestBed;
let account: Account;
let convoId: string;

beforeAll(async () => {
  bed = await startTestBed();
  account = bed.account();
  convoId = newSecret(16).toString('hex');
  const api = clientApi(account, bed.server());
  await api.call('createConvo', { groupId: convoId, cipherSuite: craftedSuite });
});
afterAll(() => bed.stop());

const message = (msgId = newUuid()): ReturnType<typeof craftMessage> =>
  craftMessage({ convoId, groupId: Buffer.from(convoId, 'hex') }, { msgId });

type Fault = 'none' | 'overloaded' | 'limited' | 'timed out' | 'login page' | 'response lost' | 'sent twice';

const spoiled: Readonly<Partial<Record<Fault, readonly [number, Readonly<Record<string, string>>, string]>>> = {
  overloaded: [503, { 'retry-after': '0' }, '{"error":"ServiceUnavailable","message":"Try again."}'],
  limited: [429, { 'retry-after': '1' }, '{"error":"RateLimitExceeded","message":"Too many.","quota":"x"}'],
  'timed out': [408, {}, '{"error":"RequestTimeout","message":"The request did not arrive in time."}'],
  'login page': [200, { 'content-type': 'text/html' }, '<h1>Welcome to the hotel</h1>'],
};

/** A proxy before the server that spoils the first responses, over real sockets. */
async function startSpoilingProxy(
  faults: readonly Fault[],
): Promise<{ url: string; requests(): number; close(): void }> {
  let count = 0;
  const target = new URL(bed.server().url);
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const fault = faults[count] ?? 'none';
    count += 1;
    const response = spoiled[fault];
    if (response !== undefined) {
      const [status, headers, body] = response;
      incoming.resume();
      outgoing.writeHead(status, headers).end(body);
      return;
    }
    const body = await buffer(incoming);
    const forward = async (): Promise<IncomingMessage> => {
      const { hostname: host, port } = target;
      const { url: path, method, headers } = incoming;
      const onward = httpRequest({ host, port, path, method, headers }).end(body);
      const [response] = (await once(onward, 'response')) as [IncomingMessage];
      return response;
    };
    if (fault === 'sent twice') (await forward()).resume();
    const original = await forward();
    if (fault === 'response lost') {
      original.resume();
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(original.statusCode ?? 500, original.headers);
    original.pipe(outgoing);
  };
  const proxy: Server = createServer((incoming, outgoing) => void answer(incoming, outgoing));
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests: () => count, close: () => proxy.closeAllConnections() };
}

const through = (url: string): ReturnType<typeof clientApi> =>
  clientApi(account, bed.server(), { serviceUrl: url, retry: { firstWaitMs: 5 } });

describe('calls', () => {
  test('bytes are Uint8Array in requests and in responses', async () => {
    const api = clientApi(account, bed.server());
    const sent = message();
    const { seq } = await api.call('sendMessage', sent);
    const [stored] = (await api.call('getMessages', { convoId, sinceSeq: seq - 1 })).messages;
    expect(stored?.ciphertext).toBeInstanceOf(Uint8Array);
    expect(Buffer.from(stored?.ciphertext ?? []).equals(sent.ciphertext)).toBe(true);
  });

  test('an error response is an ApiError with its name, status and fields', async () => {
    const api = clientApi(account, bed.server());
    const refused = api.call('sendMessage', {
      ...message(),
      ...craftMessage({ convoId, groupId: Buffer.from(convoId, 'hex') }, { epoch: 7 }),
    });
    const error: unknown = await refused.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    if (!isApiError(error, 'EpochMismatch')) throw error;
    expect([error.status, error.currentEpoch]).toEqual([409, 0]);
    expect(isApiError(error, 'NotMember')).toBe(false);
  });

  test('a call ends when its signal is aborted, and says so', async () => {
    const api = clientApi(account, bed.server());
    const reason = new Error('the user closed the window');
    await expect(api.call('getConvos', {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('repetition', () => {
  test('an overloaded service is called again after Retry-After', async () => {
    const proxy = await startSpoilingProxy(['overloaded', 'overloaded']);
    await expect(through(proxy.url).call('getEpoch', { convoId })).resolves.toEqual({ convoId, currentEpoch: 0 });
    expect(proxy.requests()).toBe(3);
    proxy.close();
  });

  test('a call over its quota waits as long as the service says, and up to a quarter longer', async () => {
    const proxy = await startSpoilingProxy(['limited']);
    const startMs = performance.now();
    await through(proxy.url).call('getEpoch', { convoId });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(990);
    expect(proxy.requests()).toBe(2);
    proxy.close();
    const waits = Array.from({ length: 200 }, () => waitBeforeAttemptMs(2, 8, retryDefaults));
    expect([Math.min(...waits) >= 8_000, Math.max(...waits) <= 10_000, new Set(waits).size > 100]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test('a longer Retry-After than the client waits is an ApiError with that time', async () => {
    const proxy = await startSpoilingProxy(['limited']);
    const api = clientApi(account, bed.server(), { serviceUrl: proxy.url, retry: { waitMaxMs: 500 } });
    const refused = api.call('getEpoch', { convoId });
    await expect(refused).rejects.toMatchObject({ error: 'RateLimitExceeded', retryAfterSeconds: 1, quota: 'x' });
    proxy.close();
  });

  test('a page of a proxy in between is no response, and the call is repeated', async () => {
    const proxy = await startSpoilingProxy(['login page']);
    await expect(through(proxy.url).call('getEpoch', { convoId })).resolves.toEqual({ convoId, currentEpoch: 0 });
    expect(proxy.requests()).toBe(2);
    proxy.close();
  });

  test('a failed token is a TokenError, after attempts that sent nothing', async () => {
    const proxy = await startSpoilingProxy([]);
    let count = 0;
    const api = clientApi(account, bed.server(), {
      serviceUrl: proxy.url,
      retry: { firstWaitMs: 1, attemptsMax: 3 },
      getToken: () => {
        count += 1;
        return Promise.reject(new Error('signed out'));
      },
    });
    const refused: unknown = await api.call('optIn', {}).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TokenError);
    expect(refused).toMatchObject({ nsid: 'blue.catbird.mls.optIn', cause: { message: 'signed out' } });
    expect([count, proxy.requests()]).toEqual([3, 0]);
    proxy.close();
  });

  test('a token function that never ends does not make a call wait longer than its time', async () => {
    const api = clientApi(account, bed.server(), {
      timeoutMs: 50,
      retry: { attemptsMax: 1 },
      getToken: () => new Promise(() => undefined),
    });
    await expect(api.call('getEpoch', { convoId })).rejects.toMatchObject({ cause: { name: 'TimeoutError' } });
  });

  test('a message whose response was lost is stored once', async () => {
    const proxy = await startSpoilingProxy(['response lost', 'response lost']);
    const { msgId, ...rest } = message();
    const api = through(proxy.url);
    const before = await api.call('getMessages', { convoId });
    const proxied = await startSpoilingProxy(['response lost', 'response lost']);
    const { messageId, seq } = await through(proxied.url).call('sendMessage', { ...rest, msgId });
    expect([messageId, seq]).toEqual([msgId, (before.lastSeq ?? 0) + 1]);
    expect(proxied.requests()).toBe(3);
    proxy.close();
    proxied.close();
  });

  test('a request that the network sent twice is repeated with another token, and its message is stored once', async () => {
    const proxy = await startSpoilingProxy(['none', 'sent twice', 'timed out']);
    const api = through(proxy.url);
    const { lastSeq = 0 } = await api.call('getMessages', { convoId });
    const { msgId, ...rest } = message();
    expect(await api.call('sendMessage', { ...rest, msgId })).toMatchObject({ messageId: msgId, seq: lastSeq + 1 });
    expect(proxy.requests()).toBe(4);
    proxy.close();
  });

  test('a call that a repetition could execute twice is not repeated after a lost response', async () => {
    const proxy = await startSpoilingProxy(['response lost']);
    const refused = through(proxy.url).call('optIn', {});
    await expect(refused).rejects.toBeInstanceOf(NoResponseError);
    expect(proxy.requests()).toBe(1);
    proxy.close();
  });
});

describe('pages', () => {
  test('all entries of all pages come in order', async () => {
    const owner = bed.account();
    const api = clientApi(owner, bed.server());
    const ids = Array.from({ length: 7 }, () => newSecret(16).toString('hex'));
    for (const groupId of ids) await api.call('createConvo', { groupId, cipherSuite: craftedSuite });
    const found: string[] = [];
    for await (const convo of entriesOf(api, 'getConvos', { limit: 3 })) found.push(convo.groupId);
    expect(found.toSorted()).toEqual(ids.toSorted());
  });

  test('all messages of a conversation come in order of seq', async () => {
    const api = clientApi(account, bed.server());
    const seqs: number[] = [];
    for (let count = 0; count < 5; count++) seqs.push((await api.call('sendMessage', message())).seq);
    const found: number[] = [];
    for await (const { seq } of messagesAfter(api, convoId, (seqs[0] ?? 0) - 1)) found.push(seq);
    expect(found).toEqual(seqs);
  });
});
