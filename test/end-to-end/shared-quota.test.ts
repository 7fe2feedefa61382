import { afterEach, expect, test } from 'vitest';
import { craftedSuite } from '../support/mls/crafted-conversation.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { RawResponse, XrpcClient } from '../support/clients/xrpc-client.ts';

let bed: TestBed | undefined;
afterEach(async () => {
  await bed?.stop();
  bed = undefined;
});

async function start(env: Record<string, string>): Promise<TestBed> {
  return (bed = await startTestBed({ servers: 2, env }));
}

/** Sends the same call `times` times at once from each client. @returns how many were not refused for a quota. */
async function countAdmitted(times: number, clients: readonly XrpcClient[], search: string): Promise<number> {
  const calls = clients.flatMap((client) => Array.from({ length: times }, () => client.raw('getMessages', { search })));
  const responses: readonly RawResponse[] = await Promise.all(calls);
  expect(responses.every(({ status }) => [200, 404, 429].includes(status))).toBe(true);
  return responses.filter(({ status }) => status !== 429).length;
}

async function createConvo(client: XrpcClient): Promise<string> {
  const groupId = '5a'.repeat(16);
  await client.call('createConvo', { groupId, cipherSuite: craftedSuite, initialMembers: [] });
  return `?convoId=${groupId}`;
}

const metric = async ({ adminPort }: { adminPort: number }): Promise<string> =>
  (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();

test('two servers that share a database apply one limit together', async () => {
  const { database, ...running } = await start({ RATE_LIMIT_GET_MESSAGES: '30', SERVER_COUNT: '2' });
  const account = running.account();
  const clients = [0, 1].map((server) => running.client({ account, server }));
  const search = await createConvo(running.client({ account }));
  // Opens connections and plans statements first: on a busy machine that takes longer than a server waits for the
  // shared count.
  for (const server of [0, 1]) await countAdmitted(1, [running.client({ server })], search);
  expect(await countAdmitted(25, clients, search)).toBe(30);
  expect(await countAdmitted(5, clients, search)).toBe(0);
  expect(await countAdmitted(10, [running.client()], search)).toBe(10);
  expect(await metric(running.server())).toContain('nightjar_quota_store_info{state="shared"} 1');
  const rows = await database.sql<{ name: Buffer }[]>`SELECT name FROM quota_rows WHERE due_at IS NOT NULL`;
  expect(rows.length).toBeGreaterThan(1);
  expect(rows.every(({ name }) => name.length === 16)).toBe(true);
});

test('two servers that charge a bucket with much room from memory admit at most a twentieth more than the limit', async () => {
  const { database, ...running } = await start({ RATE_LIMIT_GET_MESSAGES: '400', SERVER_COUNT: '2' });
  const account = running.account();
  const clients = [0, 1].map((server) => running.client({ account, server }));
  const search = await createConvo(running.client({ account }));
  let admitted = 0;
  for (let round = 0; round < 10; round++) admitted += await countAdmitted(25, clients, search);
  expect(admitted).toBeGreaterThanOrEqual(400);
  expect(admitted).toBeLessThanOrEqual(420);
  expect(await countAdmitted(5, clients, search)).toBe(0);
  const [{ counted } = { counted: 0 }] = await database.sql<{ counted: number }[]>`
    SELECT coalesce(max(total), 0)::int AS counted
    FROM (SELECT (SELECT sum(count) FROM unnest(counts) AS count) AS total FROM quota_rows WHERE due_at IS NOT NULL) AS sums`;
  expect(counted).toBe(admitted);
});

test('when the shared count is unavailable both still apply the limit, log the change once, and return to the shared count', async () => {
  const { database, ...running } = await start({ RATE_LIMIT_GET_MESSAGES: '30', SERVER_COUNT: '2' });
  const account = running.account();
  const clients = [0, 1].map((server) => running.client({ account, server }));
  const search = await createConvo(running.client({ account }));
  const before = await countAdmitted(5, clients, search);
  expect(before).toBe(10);
  await database.sql`ALTER TABLE quota_rows RENAME TO quota_rows_away`;
  const during = await countAdmitted(25, clients, search);
  expect(before + during).toBeLessThanOrEqual(30 * 1.2);
  expect(before + during).toBeGreaterThanOrEqual(20);
  expect(await metric(running.server(1))).toContain('nightjar_quota_store_info{state="local"} 1');
  await database.sql`ALTER TABLE quota_rows_away RENAME TO quota_rows`;
  await expect
    .poll(async () => {
      await countAdmitted(1, clients, search);
      return running.servers.map(({ logLines }) =>
        logLines.filter((line) => line.includes('quota_store_changed')).map((line) => JSON.parse(line).state as string),
      );
    })
    .toEqual([
      ['local', 'shared'],
      ['local', 'shared'],
    ]);
  expect(await countAdmitted(10, clients, search)).toBe(0);
});
