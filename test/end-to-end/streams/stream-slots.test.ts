import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '#platform/limits.ts';
import { openRawServerSentEvents, openRawSocket } from '../../support/clients/raw-streams.ts';
import { startTestBed } from '../../support/test-server.ts';
import type { TestBed } from '../../support/test-server.ts';

let bed: TestBed;
beforeAll(async () => void (bed = await startTestBed()));
afterAll(() => bed.stop());

const max = limits.subscriptionsPerAccountMax;

interface OpenStream {
  close(): unknown;
}

async function openConcurrently(
  count: number,
  open: (nth: number) => Promise<OpenStream>,
): Promise<{ open: OpenStream[]; refused: string[] }> {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, (_, nth) => open(nth)));
  return {
    open: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])),
    refused: outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : [])),
  };
}

test("of fifty streams of both kinds opened concurrently only the account's limit is admitted", async () => {
  const client = bed.client();
  const tickets: string[] = [];
  for (let nth = 0; nth < 25; nth++) tickets.push((await client.call('getSubscriptionTicket', {})).ticket);
  const { open, refused } = await openConcurrently(50, (nth) =>
    nth < 25 ? openRawSocket(client, { ticket: tickets[nth] }) : openRawServerSentEvents(client),
  );
  expect([open.length, refused.length]).toEqual([max, 50 - max]);
  expect(refused.every((reason) => reason.includes('TooManyConnections'))).toBe(true);

  await Promise.all(open.map((stream) => stream.close()));
  // The server may see the closed connections a moment later.
  const reopened: OpenStream[] = [];
  await expect
    .poll(async () =>
      reopened.push(...(await openConcurrently(max - reopened.length, () => openRawSocket(client))).open),
    )
    .toBe(max);
  await Promise.all(reopened.map((stream) => stream.close()));
});
