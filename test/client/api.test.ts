import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiError, isApiError, NoResponseError } from '#client/api/api-error.ts';
import { entriesOf, messagesAfter } from '#client/api/pages.ts';
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

type Fault = 'none' | 'overloaded' | 'response lost';

/** A proxy before the server that spoils the first responses, over real sockets. */
async function startSpoilingProxy(
  faults: readonly Fault[],
): Promise<{ url: string; requests(): number; close(): void }> {
  let count = 0;
  const target = new URL(bed.server().url);
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const fault = faults[count] ?? 'none';
    count += 1;
    if (fault === 'overloaded') {
      incoming.resume();
      outgoing.writeHead(503, { 'retry-after': '0', 'content-type': 'application/json' });
      outgoing.end('{"error":"ServiceUnavailable","message":"Try again."}');
      return;
    }
    const onward = httpRequest({
      host: target.hostname,
      port: target.port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
    });
    incoming.pipe(onward);
    const [response] = (await once(onward, 'response')) as [IncomingMessage];
    if (fault === 'response lost') {
      response.resume();
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(response.statusCode ?? 500, response.headers);
    response.pipe(outgoing);
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
