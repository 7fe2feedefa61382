import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { retryDefaults, waitBeforeAttemptMs } from '#client/api/retry.ts';
import { limits } from '#platform/limits.ts';
import { createCraftedConversation, craftMessage } from '../support/mls/crafted-conversation.ts';
import { rawRequest } from '../support/clients/xrpc-client.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';

const page = await readFile(new URL('../../docs/limits.md', import.meta.url), 'utf8');

/** Limits that a client cannot reach or notice. */
const notForClients = [
  'bufferedFramesMax',
  'bufferedSizeBytesMax',
  'devicesPerCatchUpMax',
  'keyPackageLifetimeMsMax',
  'membersPerAdditionsPageMax',
  'proxyHeaderLengthMax',
];

/** Rows whose number is not that of the limit, and limits without a row. */
function problems(text: string): string[] {
  const rows = [...text.matchAll(/^\| .+ \| +([\d,]+)[^|]*\| `(\w+)` +\|$/gm)];
  const shown = new Map(rows.map(([, number = '', name = '']) => [name, Number(number.replaceAll(',', ''))]));
  return Object.entries(limits)
    .filter(([name]) => !notForClients.includes(name))
    .flatMap(([name, value]) => (shown.get(name) === value ? [] : [`${name}: ${shown.get(name) ?? 'no row'}`]))
    .concat([...shown.keys()].filter((name) => !(name in limits)));
}

test('the page about limits has the numbers of the service', () => {
  expect(problems(page)).toEqual([]);
  expect(problems(page.replace('| 49,152 bytes', '| 49,153 bytes'))).toEqual(['keyPackageSizeBytesMax: 49153']);
});

test('the page says how often and how long @nightjar/client waits', () => {
  expect(page).toMatch(/up to five times in all, and waits\s+at\s+most 60 seconds/);
  expect([retryDefaults.attemptsMax, retryDefaults.waitMaxMs]).toEqual([5, 60_000]);
  const waits = Array.from({ length: 100 }, () => waitBeforeAttemptMs(2, 8, retryDefaults));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(8_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
});

let bed: TestBed;
beforeAll(async () => {
  bed = await startTestBed({ env: { RATE_LIMIT_SEND_MESSAGE: '2' } });
});
afterAll(() => bed.stop());

test('responses have the headers that the page names, and a refused request is not counted', async () => {
  const client = bed.client();
  const conversation = await createCraftedConversation(client, []);
  const send = () => client.raw('sendMessage', rawRequest('sendMessage', craftMessage(conversation)));
  const headers = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'RateLimit-Policy'];
  const responses = [await send(), await send(), await send(), await send()];
  expect(responses.map(({ status }) => status)).toEqual([200, 200, 429, 429]);
  for (const response of responses) {
    for (const name of headers) {
      expect(page).toContain(`\`${name}\``);
      expect(response.headers.get(name)).toMatch(/^\d/);
    }
  }
  const waits = responses.slice(2).map((response) => Number(response.headers.get('Retry-After')));
  for (const seconds of waits) expect(seconds).toBeGreaterThanOrEqual(1);
  // The second refusal does not prolong the wait.
  expect(waits[1]).toBeLessThanOrEqual(waits[0] ?? 0);
});
