import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '#platform/limits.ts';
import { openEventStream } from '../support/clients/event-stream.ts';
import { openServerSentEvents } from '../support/clients/server-sent-events.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

const max = limits.subscriptionsPerAccountMax;

interface Open {
  close(): unknown;
}

async function openAtOnce(
  count: number,
  open: (nth: number) => Promise<Open>,
): Promise<{ open: Open[]; no: string[] }> {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, (_, nth) => open(nth)));
  return {
    open: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])),
    no: outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : [])),
  };
}

test('fifty streams of both kinds that are opened at once are never more than an account may hold', async () => {
  const client = bed.client();
  const tickets: string[] = [];
  for (let nth = 0; nth < 25; nth++) tickets.push((await client.call('getSubscriptionTicket', {})).ticket);
  const { open, no } = await openAtOnce(50, (nth) =>
    nth < 25 ? openEventStream(client, { ticket: tickets[nth] }) : openServerSentEvents(client),
  );
  expect([open.length, no.length]).toEqual([max, 50 - max]);
  expect(no.every((reason) => reason.includes('TooManyConnections'))).toBe(true);

  await Promise.all(open.map((stream) => stream.close()));
  // What is closed on this side may take the server a moment.
  const kept: Open[] = [];
  await expect
    .poll(async () => kept.push(...(await openAtOnce(max - kept.length, () => openEventStream(client))).open))
    .toBe(max);
  await Promise.all(kept.map((stream) => stream.close()));
});
