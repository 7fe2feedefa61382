import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { craftMessage, createCraftedConversation, sendCrafted } from '../../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../../support/mls/crafted-conversation.ts';
import { openEventStream } from '../../support/clients/event-stream.ts';
import { openRawSocket } from '../../support/clients/raw-streams.ts';
import { startTestBed } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';
import type { RawResponse, XrpcClient } from '../../support/clients/xrpc-client.ts';

const slotCount = 4;

let bed: TestBed;
let sender: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  bed = await startTestBed({
    env: { MAX_REQUESTS_IN_PROGRESS: String(slotCount), CORS_ALLOW_ORIGINS: 'https://app.test' },
  });
  sender = bed.client();
  conversation = await createCraftedConversation(sender, []);
});
afterAll(() => bed.stop());

async function readMetric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${bed.server().adminPort}/metrics`)).text();
  return Number(new RegExp(`^nightjar_${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

async function untilInProgress(count: number): Promise<void> {
  while ((await readMetric('requests_in_progress')) !== count) await sleep(5);
}

function send(msgId: string): Promise<RawResponse> {
  const { ciphertext, ...rest } = craftMessage(conversation, { msgId });
  const bytes = { $bytes: Buffer.from(ciphertext).toString('base64') };
  return sender.raw('sendMessage', { body: JSON.stringify({ ...rest, ciphertext: bytes }) });
}

/**
 * Sends `count` messages while another transaction has their conversation locked, and passes the pending responses to
 * `whileLocked`.
 */
async function whileSendsWait(
  ids: readonly string[],
  whileLocked: (responses: Promise<RawResponse>[]) => Promise<void>,
): Promise<void> {
  await bed.database.sql.begin(async (tx) => {
    await tx`SELECT 1 FROM conversation_counters WHERE group_id = ${conversation.groupId} FOR UPDATE`;
    const responses = ids.map(send);
    await untilInProgress(ids.length);
    await whileLocked(responses);
  });
}

const idOf = (group: number, index: number): string =>
  `00000000-0000-4000-8000-${String(group).padStart(4, '0')}${String(index).padStart(8, '0')}`;

test('with all slots in use other requests are refused at once without effect, and running requests succeed', async () => {
  const runningIds = Array.from({ length: slotCount }, (_, index) => idOf(1, index));
  const refusedIds = Array.from({ length: 20 }, (_, index) => idOf(2, index));
  let waiting: Promise<RawResponse>[] = [];
  await whileSendsWait(runningIds, async (responses) => {
    waiting = responses;
    const refused = await Promise.all(refusedIds.map(send));
    for (const { status, headers, text } of refused) {
      expect([status, JSON.parse(text)]).toEqual([
        503,
        { error: 'ServiceUnavailable', message: expect.stringContaining('Retry-After') },
      ]);
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(5);
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{16}$/);
      expect(headers.get('cache-control')).toBe('no-store');
    }
    expect(new Set(refused.map(({ headers }) => headers.get('retry-after'))).size).toBe(5);
    // All sends still wait for the lock.
    expect(await readMetric('requests_in_progress')).toBe(slotCount);
  });
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(runningIds.map(() => 200));
  const stored = await bed.database.sql<{ msgId: string }[]>`
    SELECT msg_id AS "msgId" FROM messages WHERE group_id = ${conversation.groupId} ORDER BY msg_id`;
  expect(stored.map(({ msgId }) => msgId)).toEqual(runningIds);
  expect(await readMetric('requests_in_progress')).toBe(0);
  expect(await readMetric('requests_shed_total\\{reason="full"\\}')).toBe(refusedIds.length);
  const again: number[] = [];
  for (const id of refusedIds) again.push((await send(id)).status);
  expect(again).toEqual(refusedIds.map(() => 200));
});

test('a long body, a chunked body, a HEAD and a request of a web page are refused too, and long bodies close the connection', async () => {
  const url = `${bed.server().url}/xrpc/blue.catbird.mls.sendMessage`;
  const inChunks = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('{'));
      controller.close();
    },
  });
  await whileSendsWait(
    Array.from({ length: slotCount }, (_, index) => idOf(6, index)),
    async () => {
      const long = await fetch(url, { method: 'POST', body: 'x'.repeat(200_000) });
      const chunked = await fetch(url, { method: 'POST', body: inChunks, duplex: 'half' });
      const head = await fetch(url, { method: 'HEAD' });
      const page = await fetch(url, { headers: { origin: 'https://app.test' } });
      const responses = [long, chunked, head, page];
      expect(responses.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
      // This client closes its connection after a HEAD.
      expect([long, chunked, page].map(({ headers }) => headers.get('connection'))).toEqual([
        'close',
        'close',
        'keep-alive',
      ]);
      expect(responses.filter(({ headers }) => headers.get('retry-after') === null)).toEqual([]);
      expect(page.headers.get('access-control-allow-origin')).toBe('https://app.test');
      expect(await head.text()).toBe('');
      expect(await long.json()).toMatchObject({ error: 'ServiceUnavailable' });
    },
  );
  await untilInProgress(0);
});

test('a refused request uses up neither its token nor its quota', async () => {
  const token = sender.token('getEpoch');
  const search = `?convoId=${conversation.convoId}`;
  await whileSendsWait(
    Array.from({ length: slotCount }, (_, index) => idOf(3, index)),
    async () => {
      const refused = await sender.raw('getEpoch', { token, search });
      expect([refused.status, refused.headers.get('ratelimit-remaining')]).toEqual([503, null]);
    },
  );
  await untilInProgress(0);
  expect((await sender.raw('getEpoch', { token, search })).status).toBe(200);
});

test('health, readiness, metrics and the DID document respond while other requests are refused', async () => {
  await whileSendsWait(
    Array.from({ length: slotCount }, (_, index) => idOf(4, index)),
    async () => {
      const { url, adminPort } = bed.server();
      const paths = ['/xrpc/_health', '/livez', '/readyz', '/.well-known/did.json'].map((path) => `${url}${path}`);
      const statuses = [...paths, `http://127.0.0.1:${adminPort}/metrics`].map(
        async (path) => (await fetch(path)).status,
      );
      expect(await Promise.all(statuses)).toEqual([200, 200, 200, 200, 200]);
    },
  );
  await untilInProgress(0);
});

test('open streams use no slots, and a new one is refused like any request', async () => {
  const streams = [];
  for (let nth = 0; nth < slotCount + 1; nth++) streams.push(await openEventStream(bed.client()));
  expect(await readMetric('requests_in_progress')).toBe(0);
  const ticket = await sender.call('getSubscriptionTicket', {});
  await whileSendsWait(
    Array.from({ length: slotCount }, (_, index) => idOf(5, index)),
    async () => {
      const refused = openRawSocket(sender, { ticket: ticket.ticket });
      await expect(refused).rejects.toMatchObject({ status: 503, error: 'ServiceUnavailable' });
    },
  );
  await untilInProgress(0);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('requests whose bodies arrive slowly use no slots', async () => {
  let responseCount = 0;
  const slow = Array.from({ length: slotCount }, () => {
    const sending = request(`${bed.server().url}/xrpc/blue.catbird.mls.sendMessage`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${sender.token('sendMessage')}`,
        'content-type': 'application/json',
        'content-length': '1000',
      },
    });
    sending.on('error', () => undefined);
    sending.once('response', () => (responseCount += 1));
    sending.write('{"convoId":');
    return sending;
  });
  await sleep(300);
  await untilInProgress(0);
  expect(responseCount).toBe(0);
  expect(await sendCrafted(sender, conversation)).toMatchObject({ epoch: 0 });
  for (const sending of slow) sending.destroy();
});
