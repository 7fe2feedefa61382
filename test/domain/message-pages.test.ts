import { afterAll, beforeAll, expect, test } from 'vitest';
import { listMessages } from '#domain/messages/list-messages.ts';
import type { Message } from '#domain/messages/message.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { randomPeople, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation } from '../support/domain-harness.ts';

const mebiByte = 1_048_576;
const pageSizeBytesMax = 16 * mebiByte;
const limit = 10;

let harness: DomainHarness;
beforeAll(async () => {
  harness = await startDomainHarness();
});
afterAll(() => harness.close());

/** Stores messages with bodies of these sizes, numbered from 1. */
async function store({ groupId }: TestConversation, sizesBytes: readonly number[]): Promise<Buffer[]> {
  const { sql } = harness.database;
  const bodies = sizesBytes.map((sizeBytes) => Buffer.alloc(sizeBytes, newSecret(32)));
  for (const [index, body] of bodies.entries()) {
    await sql`INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
      VALUES (${groupId}, ${index + 1}, 0, 1, ${newUuid()}, date_trunc('minute', now()), ${body})`;
  }
  await sql`UPDATE conversation_counters SET last_seq = ${bodies.length} WHERE group_id = ${groupId}`;
  return bodies;
}

async function readPages(did: string, conversationId: string): Promise<(readonly Message[])[]> {
  const pages: (readonly Message[])[] = [];
  for (;;) {
    const sinceSeq = pages.at(-1)?.at(-1)?.seq ?? 0;
    const { messages, gap } = await listMessages(harness.server, { did }, { conversationId, sinceSeq, limit });
    expect(gap).toBeUndefined();
    if (messages.length === 0) return pages;
    pages.push(messages);
  }
}

test('large and small bodies come in order and whole, and a page ends with the body that reaches 16 MiB', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  const large = [3, 5, 2, 4, 6].map((size) => size * mebiByte);
  const bodies = await store(conversation, [1_024, ...large, 0, 1_024, ...large, ...large, 512]);
  const pages = await readPages(alice, conversation.id);
  const messages = pages.flat();
  expect(messages.map(({ seq }) => seq)).toEqual(bodies.map((_, index) => index + 1));
  expect(messages.every(({ ciphertext }, index) => bodies[index]?.equals(ciphertext))).toBe(true);
  expect(pages.map((page) => page.length)).toEqual([6, 7, 5, 1]);
  for (const page of pages) {
    const sizesBytes = page.map(({ ciphertext }) => ciphertext.length);
    const beforeLast = sizesBytes.slice(0, -1).reduce((total, sizeBytes) => total + sizeBytes, 0);
    expect(beforeLast).toBeLessThan(pageSizeBytesMax);
  }
});

test('a page with one large body has the other messages up to the limit', async () => {
  const [alice = ''] = randomPeople(1);
  const conversation = await harness.createConversation([alice]);
  await store(conversation, [...Array.from({ length: 4 }, () => 100), 2 * mebiByte, 100, 100]);
  const pages = await readPages(alice, conversation.id);
  expect(pages.map((page) => page.map(({ ciphertext }) => ciphertext.length))).toEqual([
    [100, 100, 100, 100, 2 * mebiByte, 100, 100],
  ]);
});
