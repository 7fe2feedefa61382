import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { storedRequestId } from '#domain/chat-requests/chat-request.ts';
import { systemClock } from '#platform/clock.ts';
import { newSecret, newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { parseKeyRing } from '#privacy/key-ring.ts';
import { createPrivacy } from '#privacy/privacy.ts';
import { createCraftedConversation } from '../support/mls/crafted-conversation.ts';
import { craftWelcome } from '../support/mls/crafted-mls.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { publishPackages } from '../support/mls/published-packages.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { ResponseOf, RequestOf, XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';
import { runJob } from '../support/processes/run-job.ts';

const dayMs = 86_400_000;

let bed: TestBed;
let pds: LoopbackPds;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

const person = (): XrpcClient => bed.client({ account: bed.account({ pdsUrl: pds.url }) });
const people = (): [XrpcClient, XrpcClient] => [person(), person()];
const statusAndError = ({ status, error }: XrpcFailure): unknown[] => [status, error];
const heldMessage = (sizeBytes = 512): { ciphertext: Buffer; paddedSize: number } => ({
  ciphertext: newSecret(sizeBytes),
  paddedSize: sizeBytes,
});

type Sent = ResponseOf<'sendChatRequest'>;
type Status = NonNullable<RequestOf<'listChatRequests'>['status']>;

const send = (from: XrpcClient, to: { did: string }, more: object = {}): Promise<Sent> =>
  from.call('sendChatRequest', { recipientDid: to.did, ...more });

async function listed(recipient: XrpcClient, status?: Status): Promise<string[]> {
  const { requests } = await recipient.call('listChatRequests', status === undefined ? {} : { status });
  return requests.map(({ id }) => id);
}

/** The id of a request's row. */
const rowIdOf = (requestId: string): string => storedRequestId(createPrivacy(parseKeyRing(bed.identityKey)), requestId);

/** Moves a request's times into the past. */
async function age({ requestId }: Sent, days: number): Promise<void> {
  await bed.database.sql`
    UPDATE chat_requests SET created_at = created_at - make_interval(days => ${days}::integer),
      expires_at = expires_at - make_interval(days => ${days}::integer),
      kept_until = kept_until - make_interval(days => ${days}::integer),
      answered_at = answered_at - make_interval(days => ${days}::integer) WHERE request_id = ${rowIdOf(requestId)}`;
}

const messagesOf = async ({ requestId }: Sent): Promise<number> =>
  (await bed.database.sql`SELECT 1 FROM chat_request_messages WHERE request_id = ${rowIdOf(requestId)}`).length;

describe('a first contact waits for consent', () => {
  test('the recipient sees the sender and preview, and gets the held messages on acceptance, also when repeated', async () => {
    const [alice, bob] = people();
    const messages = [{ ...heldMessage(), ephPubKey: newSecret(32) }, heldMessage(1_024)];
    const sent = await send(bob, alice, { previewText: 'Hello, Alice', heldMessages: messages });
    expect(sent).toEqual({
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: 'pending',
      createdAt: expect.stringMatching(/:00\.000Z$/),
      expiresAt: new Date(Date.parse(sent.createdAt) + 7 * dayMs).toISOString(),
    });
    expect(await alice.call('getRequestCount', {})).toEqual({ pendingCount: 1, lastRequestAt: sent.createdAt });
    const request = { id: sent.requestId, senderDid: bob.did, status: 'pending', previewText: 'Hello, Alice' };
    const times = { createdAt: sent.createdAt, expiresAt: sent.expiresAt };
    expect(await alice.call('listChatRequests', {})).toEqual({
      requests: [{ ...request, ...times, messageCount: 2, isGroupInvite: false }],
    });
    const accepted = await alice.call('acceptChatRequest', { requestId: sent.requestId });
    expect(accepted).toEqual({
      convoId: sent.requestId.replaceAll('-', ''),
      acceptedAt: expect.stringMatching(/:00\.000Z$/),
      heldMessages: messages.map((message, index) => ({
        id: `${sent.requestId}-${index + 1}`,
        sequence: index + 1,
        paddedSize: message.paddedSize,
        ciphertext: new Uint8Array(message.ciphertext),
        ...('ephPubKey' in message ? { ephPubKey: new Uint8Array(message.ephPubKey) } : {}),
      })),
    });
    expect(await alice.call('acceptChatRequest', { requestId: sent.requestId })).toEqual(accepted);
    expect(await alice.call('getRequestCount', {})).toEqual({ pendingCount: 0 });
    expect([await listed(alice), await listed(alice, 'accepted')]).toEqual([[], [sent.requestId]]);
  });

  test('accepting with a Welcome creates the conversation under the id of the request', async () => {
    const [alice, bob] = people();
    await publishPackages(bob);
    const sent = await send(bob, alice);
    const { keyPackages } = await alice.call('getKeyPackages', { dids: [bob.did] });
    const refs = keyPackages.map(({ keyPackageHash = '' }) => Buffer.from(keyPackageHash, 'hex'));
    const { requestId } = sent;
    const accept = (welcomeData: Uint8Array) => alice.refusal('acceptChatRequest', { requestId, welcomeData });
    expect(statusAndError(await accept(newSecret(64)))).toEqual([400, 'InvalidWelcome']);
    expect(statusAndError(await accept(craftWelcome([newSecret(32)])))).toEqual([409, 'KeyPackageNotFound']);
    expect(await listed(alice), 'a refusal does not change the request').toEqual([requestId]);
    const { convoId } = await alice.call('acceptChatRequest', { requestId, welcomeData: craftWelcome(refs) });
    expect(await bob.call('getWelcome', { convoId })).toMatchObject({ convoId });
    expect(await alice.call('getEpoch', { convoId })).toMatchObject({ currentEpoch: 1 });
  });

  test('a group id that is already in use gives ConvoAlreadyExists', async () => {
    const [alice, bob] = people();
    await publishPackages(bob);
    const { requestId } = await send(bob, alice);
    const { keyPackages } = await alice.call('getKeyPackages', { dids: [bob.did] });
    const refs = keyPackages.map(({ keyPackageHash = '' }) => Buffer.from(keyPackageHash, 'hex'));
    const suite = keyPackages[0]?.cipherSuite ?? '';
    await bob.call('createConvo', { groupId: requestId.replaceAll('-', ''), cipherSuite: suite });
    const refusal = await alice.refusal('acceptChatRequest', { requestId, welcomeData: craftWelcome(refs) });
    expect(statusAndError(refusal)).toEqual([409, 'ConvoAlreadyExists']);
  });

  test('only a member can invite to a group, and the request contains the group id', async () => {
    const [alice, bob] = people();
    const { convoId } = await createCraftedConversation(bob, []);
    const invite = { isGroupInvite: true, groupId: convoId };
    const { requestId } = await send(bob, alice, invite);
    expect(await alice.call('listChatRequests', {})).toMatchObject({ requests: [invite] });
    const welcomeData = craftWelcome([newSecret(32)]);
    expect(statusAndError(await alice.refusal('acceptChatRequest', { requestId, welcomeData }))).toEqual([
      400,
      'InvalidWelcome',
    ]);
    expect(await alice.call('acceptChatRequest', { requestId })).toMatchObject({ convoId });
    const carol = person();
    const refusals = [convoId, newSecret(16).toString('hex'), 'no group'].map(async (groupId) => {
      const refusal = await carol.refusal('sendChatRequest', { recipientDid: alice.did, isGroupInvite: true, groupId });
      return [refusal.status, refusal.body];
    });
    const notFound = [404, { error: 'ConvoNotFound', message: expect.any(String) }];
    expect(await Promise.all(refusals)).toEqual([notFound, notFound, notFound]);
    const other = await createCraftedConversation(bob, [carol]);
    await carol.call('leaveConvo', { convoId: other.convoId });
    const leftConversation = { recipientDid: alice.did, groupId: other.convoId };
    expect(statusAndError(await carol.refusal('sendChatRequest', leftConversation))).toEqual([403, 'NotMember']);
  });

  test('people who share a conversation need no request', async () => {
    const [alice, bob] = people();
    const { convoId } = await createCraftedConversation(alice, [bob]);
    expect(await send(bob, alice)).toMatchObject({ status: 'bypassed', convoId });
    expect(await listed(alice)).toEqual([]);
  });

  test('an invalid request is refused', async () => {
    const [alice, bob] = people();
    const refusal = async (input: object): Promise<unknown[]> =>
      statusAndError(await bob.refusal('sendChatRequest', { recipientDid: alice.did, ...input }));
    expect(await refusal({ recipientDid: bob.did })).toEqual([400, 'SelfRequest']);
    expect(await refusal({ recipientDid: 'alice' })).toEqual([404, 'RecipientNotFound']);
    expect(await refusal({ heldMessages: [{ ...heldMessage(), paddedSize: 1_024 }] })).toEqual([400, 'InvalidAsset']);
    expect(await refusal({ heldMessages: [heldMessage(700)] })).toEqual([400, 'InvalidAsset']);
    expect(await refusal({ heldMessages: Array.from({ length: 6 }, () => heldMessage()) })).toEqual([
      400,
      'InvalidRequest',
    ]);
    expect(await refusal({ previewText: 'x'.repeat(201) })).toEqual([400, 'InvalidRequest']);
    expect(await listed(alice)).toEqual([]);
  });
});

describe('a sender', () => {
  test('has one request to a person at a time, also with sixteen concurrent calls', async () => {
    const [alice, bob] = people();
    const pending: Promise<Sent>[] = [];
    await bed.database.sql.begin(async (locker) => {
      // Every sender that has found no earlier request waits here to write one.
      await locker`LOCK TABLE chat_requests IN SHARE MODE`;
      for (let index = 0; index < 16; index++) pending.push(send(bob, alice));
      await systemClock.sleep(700);
    });
    const outcomes = await Promise.allSettled(pending);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(statusAndError(await bob.refusal('sendChatRequest', { recipientDid: alice.did }))).toEqual([
      409,
      'DuplicateRequest',
    ]);
    expect(await listed(alice)).toHaveLength(1);
  });

  test('cannot distinguish blocked, declined, unread and never registered', async () => {
    const bob = person();
    const [chatBlocker, blueskyBlocker, decliner, shortExpiry, unregistered] = [
      person(),
      person(),
      person(),
      person(),
      person(),
    ];
    await chatBlocker.call('blockChatSender', { senderDid: bob.did });
    pds.block(blueskyBlocker.did, bob.did);
    await shortExpiry.call('updateChatRequestSettings', { autoExpireDays: 1 });
    const all = [chatBlocker, blueskyBlocker, decliner, shortExpiry, unregistered];
    const message = { previewText: 'hi', heldMessages: [heldMessage()] };
    const responses = await Promise.all(all.map((recipient) => send(bob, recipient, message)));
    const [first] = responses;
    for (const response of responses) expect({ ...response, requestId: '' }).toEqual({ ...first, requestId: '' });
    await decliner.call('declineChatRequest', { requestId: responses[2]?.requestId ?? '' });
    const again = await Promise.all(
      all.map(({ did }) => bob.refusal('sendChatRequest', { recipientDid: did }).then(({ body }) => body)),
    );
    expect(new Set(again.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(again[0]).toMatchObject({ error: 'DuplicateRequest' });
    expect(await Promise.all(all.map((recipient) => listed(recipient)))).toEqual([
      [],
      [],
      [],
      [responses[3]?.requestId],
      [responses[4]?.requestId],
    ]);
    for (const recipient of [chatBlocker, blueskyBlocker]) {
      const requestId = responses[all.indexOf(recipient)]?.requestId ?? '';
      expect(statusAndError(await recipient.refusal('acceptChatRequest', { requestId }))).toEqual([
        404,
        'RequestNotFound',
      ]);
    }
  });

  test('may send again after a week, which replaces an unanswered request', async () => {
    const [alice, bob] = people();
    await alice.call('updateChatRequestSettings', { autoExpireDays: 30 });
    const first = await send(bob, alice);
    await age(first, 8);
    const second = await send(bob, alice);
    expect(await listed(alice)).toEqual([second.requestId]);
  });

  test('can send a limited number of requests a day', async () => {
    const bob = person();
    const sent = Array.from({ length: limits.chatRequestsPerDayMax }, () =>
      send(bob, bed.account({ pdsUrl: pds.url })),
    );
    await Promise.all(sent);
    const refusal = await bob.refusal('sendChatRequest', { recipientDid: person().did });
    expect(statusAndError(refusal)).toEqual([429, 'RateLimited']);
    expect(Number(refusal.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
  });
});

describe('a recipient', () => {
  test('declines, which deletes the messages; no other person can accept or decline', async () => {
    const [alice, bob] = people();
    const sent = await send(bob, alice, { heldMessages: [heldMessage()] });
    const { requestId } = sent;
    for (const other of [bob, person()]) {
      expect(statusAndError(await other.refusal('declineChatRequest', { requestId }))).toEqual([
        404,
        'RequestNotFound',
      ]);
      expect(statusAndError(await other.refusal('acceptChatRequest', { requestId }))).toEqual([404, 'RequestNotFound']);
    }
    const report = { reportReason: 'spam', reportDetails: 'not stored' } as const;
    expect(await alice.call('declineChatRequest', { requestId, ...report })).toEqual({ success: true });
    expect(await alice.call('declineChatRequest', { requestId })).toEqual({ success: true });
    expect([await messagesOf(sent), await listed(alice, 'declined')]).toEqual([0, [requestId]]);
    expect(statusAndError(await alice.refusal('acceptChatRequest', { requestId }))).toEqual([409, 'AlreadyProcessed']);
    for (const unknown of [newUuid(), 'none']) {
      expect(statusAndError(await alice.refusal('declineChatRequest', { requestId: unknown }))).toEqual([
        404,
        'RequestNotFound',
      ]);
    }
  });

  test('blocks a sender: pending requests end, and later ones are never shown', async () => {
    const [alice, bob] = people();
    const sent = await send(bob, alice, { heldMessages: [heldMessage()] });
    const { requestId } = sent;
    const other = await send(person(), alice);
    const wrong = { senderDid: bob.did, requestId: other.requestId };
    expect(statusAndError(await alice.refusal('blockChatSender', wrong))).toEqual([404, 'RequestNotFound']);
    const block = { senderDid: bob.did, requestId, reason: 'spam' } as const;
    expect(await alice.call('blockChatSender', block)).toEqual({ success: true, blockedCount: 1 });
    expect(await alice.call('blockChatSender', { senderDid: bob.did })).toEqual({ success: true, blockedCount: 0 });
    expect([await messagesOf(sent), await listed(alice, 'blocked')]).toEqual([0, [requestId]]);
    await age(sent, 8);
    await send(bob, alice);
    expect(await listed(alice)).toEqual([other.requestId]);
    expect(await alice.call('getRequestCount', {})).toMatchObject({ pendingCount: 1 });
  });

  test('chooses after how many days requests expire; expired requests are listed and later deleted', async () => {
    const [alice, bob] = people();
    const defaults = { allowFollowersBypass: true, allowFollowingBypass: false, autoExpireDays: 7 };
    expect(await alice.call('getChatRequestSettings', {})).toEqual(defaults);
    const changed = { allowFollowersBypass: false, allowFollowingBypass: true, autoExpireDays: 1 };
    expect(await alice.call('updateChatRequestSettings', { autoExpireDays: 1 })).toEqual({
      ...defaults,
      autoExpireDays: 1,
    });
    const choices = { allowFollowersBypass: false, allowFollowingBypass: true };
    expect(await alice.call('updateChatRequestSettings', choices)).toEqual(changed);
    expect(await alice.call('getChatRequestSettings', {})).toEqual(changed);
    expect(statusAndError(await alice.refusal('updateChatRequestSettings', { autoExpireDays: 31 }))).toEqual([
      400,
      'InvalidRequest',
    ]);

    const sent = await send(bob, alice, { heldMessages: [heldMessage()] });
    await age(sent, 2);
    const { requestId } = sent;
    expect([await listed(alice), await listed(alice, 'expired')]).toEqual([[], [requestId]]);
    expect(statusAndError(await alice.refusal('acceptChatRequest', { requestId }))).toEqual([409, 'RequestExpired']);
    expect(await runJob(bed.database, 'clean-chat-requests')).toBe(1);
    expect([await messagesOf(sent), await listed(alice, 'expired')]).toEqual([0, [requestId]]);
    await age(sent, 7);
    expect(await listed(alice, 'expired')).toEqual([]);
    expect(await runJob(bed.database, 'clean-chat-requests')).toBe(1);
    expect(await runJob(bed.database, 'clean-chat-requests')).toBe(0);
  });

  test('held messages of an accepted request stay for a day', async () => {
    const [alice, bob] = people();
    const sent = await send(bob, alice, { heldMessages: [heldMessage()] });
    await alice.call('acceptChatRequest', { requestId: sent.requestId });
    await runJob(bed.database, 'clean-chat-requests');
    expect(await messagesOf(sent)).toBe(1);
    await age(sent, 1);
    await runJob(bed.database, 'clean-chat-requests');
    expect(await messagesOf(sent)).toBe(0);
  });

  test('pages through requests, each shown once; a cursor is valid for one person and one status', async () => {
    const alice = person();
    const sent: string[] = [];
    for (let index = 0; index < 5; index++) sent.push((await send(person(), alice)).requestId);
    const shown: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await alice.call('listChatRequests', { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      shown.push(...page.requests.map(({ id }) => id));
      if (page.cursor !== undefined) {
        const foreign = { limit: 2, cursor: page.cursor };
        expect(statusAndError(await person().refusal('listChatRequests', foreign))).toEqual([400, 'InvalidCursor']);
        const otherStatus = { ...foreign, status: 'accepted' } as const;
        expect(statusAndError(await alice.refusal('listChatRequests', otherStatus))).toEqual([400, 'InvalidCursor']);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(shown.toSorted()).toEqual(sent.toSorted());
  });
});

test('a stored request contains no DID in clear, and its size does not show whether it has a preview', async () => {
  const [alice, bob] = people();
  await bed.database.sql`DELETE FROM chat_requests`;
  await send(bob, alice, { previewText: 'Hello, Alice', heldMessages: [heldMessage()] });
  await send(bob, person());
  for (const previewText of ['"'.repeat(200), '\u0001'.repeat(200), '€'.repeat(66)]) {
    await send(bob, person(), { previewText });
  }
  await alice.call('blockChatSender', { senderDid: person().did });
  const rows = [
    ...(await bed.database.sql`SELECT * FROM chat_requests`),
    ...(await bed.database.sql`SELECT * FROM chat_request_messages`),
    ...(await bed.database.sql`SELECT * FROM chat_sender_blocks`),
  ];
  const values = rows.flatMap((row): unknown[] => Object.values(row));
  const bytes = values.map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(String(value))));
  for (const secret of [alice.did, bob.did, 'Alice']) {
    expect(bytes.filter((value) => value.includes(secret))).toEqual([]);
  }
  const sizes = await bed.database.sql<{ size: number }[]>`SELECT length(sealed_request) AS size FROM chat_requests`;
  expect(new Set(sizes.map(({ size }) => size)).size).toBe(1);
});
