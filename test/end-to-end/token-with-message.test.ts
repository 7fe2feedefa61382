import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseTokens } from '#auth/refuse-tokens.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { createCraftedConversation, craftMessage } from '../support/mls/crafted-conversation.ts';
import type { CraftedConversation, CraftedMessage } from '../support/mls/crafted-conversation.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { createXrpcClient, errorNameOf, rawRequest } from '../support/clients/xrpc-client.ts';
import type { XrpcClient } from '../support/clients/xrpc-client.ts';

// sendMessage records the use of its token in the transaction that stores the message (migrations/0024).

let bed: TestBed;
let first: XrpcClient;
let second: XrpcClient;
let conversation: CraftedConversation;

beforeAll(async () => {
  bed = await startTestBed({ servers: 2 });
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
  const account = bed.account();
  first = createXrpcClient({ server: bed.server(0), account });
  second = createXrpcClient({ server: bed.server(1), account });
  conversation = await createCraftedConversation(first, []);
});
afterAll(() => bed.stop());

/** Sends a message of its own with `token`. @returns 200, or the error name. */
async function send(client: XrpcClient, token: string, message: CraftedMessage = {}): Promise<unknown> {
  const request = rawRequest('sendMessage', craftMessage(conversation, message));
  const response = await client.raw('sendMessage', { ...request, token });
  return response.status === 200 ? 200 : errorNameOf(response);
}

async function storedCount(): Promise<number> {
  const [row] = await bed.database.sql<{ stored: number }[]>`
    SELECT count(*)::integer AS stored FROM messages WHERE group_id = ${conversation.groupId}`;
  return required(row, 'a row').stored;
}

// Safe because the insert under the primary key of replay_entries and the message are one transaction.
test('of many messages with one token, sent concurrently to two servers, exactly one is stored', async () => {
  for (let round = 0; round < 5; round++) {
    const before = await storedCount();
    const tokens = Array.from({ length: 10 }, () => first.token('sendMessage'));
    const outcomes = await Promise.all(
      tokens.flatMap((token) => Array.from({ length: 6 }, (_, nth) => send(nth % 2 === 0 ? first : second, token))),
    );
    expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(tokens.length);
    expect(new Set(outcomes)).toEqual(new Set([200, 'JwtReplayed']));
    expect((await storedCount()) - before).toBe(tokens.length);
  }
});

test.for([
  ['a wrong epoch', { epoch: 7 }, 'EpochMismatch'],
  ['a malformed id', { msgId: 'not-an-id' }, 'InvalidAsset'],
  ['an ephemeral message', { delivery: 'ephemeral' }, 200],
] as const)('%s uses up the token on all servers', async ([, message, outcome]) => {
  const token = first.token('sendMessage');
  expect(await send(first, token, message)).toBe(outcome);
  expect(await send(second, token)).toBe('JwtReplayed');
  expect(await send(first, token)).toBe('JwtReplayed');
});

test('a replayed token is refused as replayed, whatever else is wrong with the request', async () => {
  const token = first.token('sendMessage');
  expect(await send(first, token)).toBe(200);
  for (const message of [{ epoch: 7 }, { msgId: 'not-an-id' }, { delivery: 'ephemeral' }] as const) {
    expect(await send(second, token, message)).toBe('JwtReplayed');
  }
});

test('a revoked token stores no message', async () => {
  const before = await storedCount();
  const token = first.token('sendMessage');
  const privacy = createPrivacy(parseKeyRing(bed.identityKey));
  await refuseTokens({ sql: bed.database.sql, privacy }, first.did, new Date(Date.now() + 5_000));
  expect(await send(first, token)).toBe('JwtRevoked');
  await bed.database.sql`DELETE FROM token_not_before`;
  expect(await storedCount()).toBe(before);
});

test('without a record of used tokens a message is stored only after a new record is made', async () => {
  const before = await storedCount();
  const token = first.token('sendMessage');
  // A crash of Postgres empties the unlogged tables.
  await bed.database.sql`TRUNCATE replay_birth, replay_entries`;
  expect(await send(first, token)).toBe('ServiceUnavailable');
  expect(await storedCount()).toBe(before);
  await bed.database.sql`UPDATE replay_birth SET born_at = now() - interval '1 hour'`;
  expect(await send(first, first.token('sendMessage'))).toBe(200);
});

test('in one batch a digest that occurs twice stores one message, and undecided tokens store none', async () => {
  const before = await storedCount();
  const nowSeconds = Date.now() / 1_000;
  const [digest, other, account] = [newSecret(16), newSecret(16), newSecret(16)];
  const messages = Array.from({ length: 4 }, () => craftMessage(conversation));
  const privacy = createPrivacy(parseKeyRing(bed.identityKey));
  const member = memberPseudonym(privacy, conversation.groupId, first.did);
  const rows = await bed.database.sql<{ item: number; token: string; outcome: string | null }[]>`
    SELECT item, token, outcome FROM store_messages_with_tokens(
      ${byteaArray([digest, digest, other, newSecret(16)])}::bytea[], ${[1, 1, 1, 1].map(() => nowSeconds + 600)}::float8[],
      ${byteaArray(messages.map(() => account))}::bytea[], ${[nowSeconds, nowSeconds, nowSeconds, 0]}::float8[],
      ${byteaArray(messages.map(() => conversation.groupId))}::bytea[], ${byteaArray(messages.map(() => member))}::bytea[], ${[0, 0, 0, 0]}::bigint[],
      ${messages.map(({ msgId }) => msgId)}::text[], ${byteaArray(messages.map(({ ciphertext }) => Buffer.from(ciphertext)))}::bytea[],
      60::integer) ORDER BY item`;
  expect(rows.map(({ item, token, outcome }) => [item, token, outcome])).toEqual([
    [1, 'first', 'stored'],
    [2, 'replayed', null],
    [3, 'first', 'stored'],
    [4, 'undecided', null],
  ]);
  expect((await storedCount()) - before).toBe(2);
});
