import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { craftMessage, createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation } from '../support/mls/crafted-conversation.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RawAnswer, XrpcClient } from '../support/clients/xrpc-client.ts';

const placesMax = 4;

let bed: TestBed;
let sender: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  bed = await startTestBed({
    env: { MAX_REQUESTS_IN_PROGRESS: String(placesMax), CORS_ALLOW_ORIGINS: 'https://app.test' },
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

function send(msgId: string): Promise<RawAnswer> {
  const { ciphertext, ...rest } = craftMessage(conversation, { msgId });
  const bytes = { $bytes: Buffer.from(ciphertext).toString('base64') };
  return sender.raw('sendMessage', { body: JSON.stringify({ ...rest, ciphertext: bytes }) });
}

/** Sends `count` messages while their conversation is locked by somebody else, and gives them to `whileHeld` unanswered. */
async function whileSendsHang(
  ids: readonly string[],
  whileHeld: (answers: Promise<RawAnswer>[]) => Promise<void>,
): Promise<void> {
  await bed.database.sql.begin(async (tx) => {
    await tx`SELECT 1 FROM conversation_counters WHERE group_id = ${conversation.groupId} FOR UPDATE`;
    const answers = ids.map(send);
    await untilInProgress(ids.length);
    await whileHeld(answers);
  });
}

const idOf = (group: number, place: number): string =>
  `00000000-0000-4000-8000-${String(group).padStart(4, '0')}${String(place).padStart(8, '0')}`;

test('with all places taken everything else is refused at once, those at work end well, and nothing is half done', async () => {
  const working = Array.from({ length: placesMax }, (_, place) => idOf(1, place));
  const late = Array.from({ length: 20 }, (_, place) => idOf(2, place));
  let hanging: Promise<RawAnswer>[] = [];
  await whileSendsHang(working, async (answers) => {
    hanging = answers;
    const refused = await Promise.all(late.map(send));
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
    // No answer overtook the lock.
    expect(await readMetric('requests_in_progress')).toBe(placesMax);
  });
  expect((await Promise.all(hanging)).map(({ status }) => status)).toEqual(working.map(() => 200));
  const stored = await bed.database.sql<{ msgId: string }[]>`
    SELECT msg_id AS "msgId" FROM messages WHERE group_id = ${conversation.groupId} ORDER BY msg_id`;
  expect(stored.map(({ msgId }) => msgId)).toEqual(working);
  expect(await readMetric('requests_in_progress')).toBe(0);
  expect(await readMetric('requests_shed_total\\{reason="full"\\}')).toBe(late.length);
  const again: number[] = [];
  for (const id of late) again.push((await send(id)).status);
  expect(again).toEqual(late.map(() => 200));
});

test('a long body, one in chunks, a HEAD and a page are refused too, and the connections of long ones end', async () => {
  const url = `${bed.server().url}/xrpc/blue.catbird.mls.sendMessage`;
  const inChunks = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('{'));
      controller.close();
    },
  });
  await whileSendsHang(
    Array.from({ length: placesMax }, (_, place) => idOf(6, place)),
    async () => {
      const long = await fetch(url, { method: 'POST', body: 'x'.repeat(200_000) });
      const chunked = await fetch(url, { method: 'POST', body: inChunks, duplex: 'half' });
      const head = await fetch(url, { method: 'HEAD' });
      const page = await fetch(url, { headers: { origin: 'https://app.test' } });
      const answers = [long, chunked, head, page];
      expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
      // This client asks to close after a HEAD.
      expect([long, chunked, page].map(({ headers }) => headers.get('connection'))).toEqual([
        'close',
        'close',
        'keep-alive',
      ]);
      expect(answers.filter(({ headers }) => headers.get('retry-after') === null)).toEqual([]);
      expect(page.headers.get('access-control-allow-origin')).toBe('https://app.test');
      expect(await head.text()).toBe('');
      expect(await long.json()).toMatchObject({ error: 'ServiceUnavailable' });
    },
  );
  await untilInProgress(0);
});

test('a refused request spends neither its token nor its quota', async () => {
  const token = sender.token('getEpoch');
  const search = `?convoId=${conversation.convoId}`;
  await whileSendsHang(
    Array.from({ length: placesMax }, (_, place) => idOf(3, place)),
    async () => {
      const refused = await sender.raw('getEpoch', { token, search });
      expect([refused.status, refused.headers.get('ratelimit-remaining')]).toEqual([503, null]);
    },
  );
  await untilInProgress(0);
  expect((await sender.raw('getEpoch', { token, search })).status).toBe(200);
});

test('health, readiness and metrics answer while everything else is refused, and the DID document too', async () => {
  await whileSendsHang(
    Array.from({ length: placesMax }, (_, place) => idOf(4, place)),
    async () => {
      const { url, adminPort } = bed.server();
      const paths = ['/xrpc/_health', '/livez', '/readyz', '/.well-known/did.json'].map((path) => `${url}${path}`);
      const asked = [...paths, `http://127.0.0.1:${adminPort}/metrics`].map(async (path) => (await fetch(path)).status);
      expect(await Promise.all(asked)).toEqual([200, 200, 200, 200, 200]);
    },
  );
  await untilInProgress(0);
});

test('open streams take no places, and a new one is refused like any request', async () => {
  const streams = [];
  for (let nth = 0; nth < placesMax + 1; nth++) streams.push(await openEventStream(bed.client()));
  expect(await readMetric('requests_in_progress')).toBe(0);
  const ticket = await sender.call('getSubscriptionTicket', {});
  await whileSendsHang(
    Array.from({ length: placesMax }, (_, place) => idOf(5, place)),
    async () => {
      const refused = openEventStream(sender, { ticket: ticket.ticket });
      await expect(refused).rejects.toMatchObject({ status: 503, error: 'ServiceUnavailable' });
    },
  );
  await untilInProgress(0);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('people who send their bodies slowly take no places', async () => {
  let answered = 0;
  const slow = Array.from({ length: placesMax }, () => {
    const sending = request(`${bed.server().url}/xrpc/blue.catbird.mls.sendMessage`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${sender.token('sendMessage')}`,
        'content-type': 'application/json',
        'content-length': '1000',
      },
    });
    sending.on('error', () => undefined);
    sending.once('response', () => (answered += 1));
    sending.write('{"convoId":');
    return sending;
  });
  await sleep(300);
  await untilInProgress(0);
  expect(answered).toBe(0);
  expect(await sendCrafted(sender, conversation)).toMatchObject({ epoch: 0 });
  for (const sending of slow) sending.destroy();
});
