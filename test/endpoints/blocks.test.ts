import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSecret, newUuid } from '#platform/ids.ts';
import { createCraftedConversation, craftedSuite } from '../support/mls/crafted-conversation.ts';
import { craftCommit, craftWelcome } from '../support/mls/crafted-mls.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { publishPackages } from '../support/mls/published-packages.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import type { XrpcClient, XrpcFailure } from '../support/clients/xrpc-client.ts';

let bed: TestBed;
let pds: LoopbackPds;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true', DID_RESOLUTION_TIMEOUT_MS: '1000' } });
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

/** A person whose repository is on the loopback PDS. */
const person = (pdsUrl = pds.url): XrpcClient => bed.client({ account: bed.account({ pdsUrl }) });
const statusAndError = ({ status, error }: XrpcFailure): unknown[] => [status, error];
const checkedAt = expect.stringMatching(/:00\.000Z$/);
const record = (blocker: XrpcClient, blocked: XrpcClient, blockUri: string): object => ({
  blockerDid: blocker.did,
  blockedDid: blocked.did,
  createdAt: '2025-01-02T03:04:05.678Z',
  blockUri,
});

describe('checkBlocks', () => {
  test('returns the blocks between the caller and others, in both directions, and none among the others', async () => {
    const [alice, bob, carol] = [person(), person(), person()];
    const [byAlice, byBob] = [pds.block(alice.did, bob.did), pds.block(bob.did, alice.did)];
    pds.block(bob.did, carol.did);
    pds.block(carol.did, bob.did);
    const dids = [alice.did, bob.did, carol.did];
    const blocks = [record(alice, bob, byAlice), record(bob, alice, byBob)];
    expect(await alice.call('checkBlocks', { dids })).toEqual({ blocks, checkedAt });
    expect(await alice.call('checkBlocks', { dids: dids.slice(1) })).toEqual({ blocks, checkedAt });
    expect(await person().call('checkBlocks', { dids })).toEqual({ blocks: [], checkedAt });
  });

  test("is refused when the caller's own PDS cannot be read; others whose PDS cannot be read count as blocking no one", async () => {
    const [alice, bob] = [person(), person()];
    pds.block(bob.did, alice.did);
    pds.misbehave(bob.did, 'error');
    const dids = [alice.did, bob.did];
    expect(await alice.call('checkBlocks', { dids })).toEqual({ blocks: [], checkedAt });
    expect(statusAndError(await person('http://127.0.0.1:1').refusal('checkBlocks', { dids }))).toEqual([
      503,
      'BlueskyServiceUnavailable',
    ]);
  });

  test('accepts 2 to 100 people', async () => {
    const dids = Array.from({ length: 101 }, () => bed.account().did);
    expect(statusAndError(await person().refusal('checkBlocks', { dids }))).toEqual([400, 'InvalidRequest']);
    expect(statusAndError(await person().refusal('checkBlocks', { dids: dids.slice(0, 1) }))).toEqual([
      400,
      'InvalidRequest',
    ]);
  });
});

describe('getBlockStatus', () => {
  test("returns only the caller's own conflicts, also to an admin", async () => {
    const [admin, alice, bob] = [person(), person(), person()];
    const { convoId } = await createCraftedConversation(admin, [alice, bob]);
    const uri = pds.block(alice.did, bob.did);
    const status = (client: XrpcClient) => client.call('getBlockStatus', { convoId });
    const conflict = { convoId, hasConflicts: true, blocks: [record(alice, bob, uri)], checkedAt, memberCount: 3 };
    expect(await status(alice)).toEqual(conflict);
    expect(await status(bob)).toEqual(conflict);
    expect(await status(admin)).toEqual({ ...conflict, hasConflicts: false, blocks: [] });
  });

  test('is for members: a non-member gets ConvoNotFound, a removed member NotMember, and no PDS gets a request', async () => {
    const [alice, bob, nonMember] = [person(), person(), person()];
    const { convoId } = await createCraftedConversation(alice, [bob]);
    await alice.call('removeMember', { convoId, targetDid: bob.did, idempotencyKey: newUuid() });
    const sentRequests = pds.requests();
    expect(statusAndError(await nonMember.refusal('getBlockStatus', { convoId }))).toEqual([404, 'ConvoNotFound']);
    expect(statusAndError(await bob.refusal('getBlockStatus', { convoId }))).toEqual([403, 'NotMember']);
    expect(pds.requests()).toBe(sentRequests);
  });

  test('does not return "no conflicts" when the blocks are unknown', async () => {
    const alice = person('http://127.0.0.1:1');
    const { convoId } = await createCraftedConversation(alice, [person()]);
    expect(statusAndError(await alice.refusal('getBlockStatus', { convoId }))).toEqual([
      503,
      'BlueskyServiceUnavailable',
    ]);
  });
});

describe('handleBlockChange', () => {
  const change = (blocker: XrpcClient, blocked: XrpcClient, action: string, blockUri?: string) => ({
    blockerDid: blocker.did,
    blockedDid: blocked.did,
    action,
    ...(blockUri === undefined ? {} : { blockUri }),
  });

  test('returns the conversations that blocker and blocked share, and does not change them', async () => {
    const [alice, bob, carol] = [person(), person(), person()];
    const shared = await createCraftedConversation(carol, [alice, bob]);
    await createCraftedConversation(alice, [carol]);
    const left = await createCraftedConversation(alice, [bob]);
    await bob.call('leaveConvo', { convoId: left.convoId });
    const uri = pds.block(alice.did, bob.did);
    const affected = (action: string) => ({
      affectedConvos: [{ convoId: shared.convoId, action, adminNotified: false }],
    });
    expect(await alice.call('handleBlockChange', change(alice, bob, 'created'))).toEqual(
      affected('requires_resolution'),
    );
    expect(await alice.call('handleBlockChange', change(alice, bob, 'created', uri))).toEqual(
      affected('requires_resolution'),
    );
    pds.unblock(alice.did, bob.did);
    expect(await alice.call('handleBlockChange', change(alice, bob, 'removed', uri))).toEqual(affected('no_action'));
    expect(await bob.call('getEpoch', { convoId: shared.convoId })).toMatchObject({ currentEpoch: 0 });
  });

  test('only the blocker may report a change, and only one that their repository shows', async () => {
    const [alice, bob, carol] = [person(), person(), person()];
    await createCraftedConversation(carol, [alice, bob]);
    const uri = pds.block(alice.did, bob.did);
    const carols = pds.block(carol.did, bob.did);
    const refused: [XrpcClient, object][] = [
      [bob, change(alice, bob, 'created', uri)],
      [person(), change(alice, bob, 'created', uri)],
      [alice, change(alice, carol, 'created')],
      [alice, change(alice, carol, 'created', uri)],
      [alice, change(alice, bob, 'created', carols)],
      [alice, change(alice, bob, 'created', `${uri}0`)],
      [alice, change(alice, bob, 'removed')],
      [alice, change(alice, bob, 'considered')],
    ];
    for (const [caller, input] of refused) {
      const failure = await caller.refusal('handleBlockChange', input as ReturnType<typeof change>);
      expect(statusAndError(failure), JSON.stringify(input)).toEqual([403, 'BlockNotVerified']);
    }
  });

  test('a change is refused when the PDS cannot be read', async () => {
    const [alice, bob] = [person(), person()];
    const uri = pds.block(alice.did, bob.did);
    pds.misbehave(alice.did, 'error');
    for (const input of [change(alice, bob, 'created', uri), change(alice, bob, 'removed')]) {
      expect(statusAndError(await alice.refusal('handleBlockChange', input))).toEqual([
        503,
        'BlueskyServiceUnavailable',
      ]);
    }
  });
});

describe('a blocked person learns nothing about the blocker', () => {
  test('key packages and opt-in: the same response bytes as for a person without an account', async () => {
    const [alice, bob, noAccount] = [person(), person(), bed.account({ pdsUrl: pds.url })];
    await publishPackages(alice, 2);
    await alice.call('optIn', {});
    pds.block(alice.did, bob.did);
    for (const name of ['getKeyPackages', 'getOptInStatus']) {
      const responses = [alice.did, noAccount.did].map(async (did) => {
        const { status, text } = await bob.raw(name, { search: `?dids=${did}` });
        return [status, text.replaceAll(did, 'did')];
      });
      expect(await responses[0]).toEqual(await responses[1]);
    }
    const { missing } = await person().call('getKeyPackages', { dids: [alice.did] });
    expect(missing).toBeUndefined();
  });

  test('they cannot add the blocker to a conversation, and the attempt stores nothing', async () => {
    const [alice, bob, carol] = [person(), person(), person()];
    await publishPackages(alice);
    const { keyPackages } = await bob.call('getKeyPackages', { dids: [alice.did] });
    const refs = keyPackages.map(({ keyPackageHash = '' }) => Buffer.from(keyPackageHash, 'hex'));
    pds.block(alice.did, bob.did);
    // Invalidates the cached list of blocks, which was read before the block.
    await alice.call('handleBlockChange', { blockerDid: alice.did, blockedDid: bob.did, action: 'created' });
    const groupId = newSecret(16).toString('hex');
    const creation = { groupId, cipherSuite: craftedSuite, initialMembers: [alice.did, carol.did] };
    expect(statusAndError(await bob.refusal('createConvo', creation))).toEqual([409, 'KeyPackageNotFound']);
    const welcomeMessage = craftWelcome(refs).toString('base64');
    expect(statusAndError(await bob.refusal('createConvo', { ...creation, welcomeMessage }))).toEqual([
      409,
      'KeyPackageNotFound',
    ]);
    expect(await carol.call('getConvos', {})).toEqual({ conversations: [] });
    expect(await carol.call('createConvo', { ...creation, initialMembers: [] })).toMatchObject({ groupId });

    const conversation = await createCraftedConversation(bob, [carol]);
    const addition = {
      convoId: conversation.convoId,
      didList: [alice.did],
      commit: craftCommit(conversation.groupId, 0).toString('base64'),
    };
    expect(statusAndError(await bob.refusal('addMembers', addition))).toEqual([409, 'KeyPackageNotFound']);
    expect(statusAndError(await alice.refusal('addMembers', addition))).toEqual([404, 'ConvoNotFound']);
    expect(await bob.call('getEpoch', { convoId: conversation.convoId })).toMatchObject({ currentEpoch: 0 });
    expect(await carol.call('addMembers', addition)).toMatchObject({ success: true, newEpoch: 1 });
  });

  test('a PDS that does not respond neither hides its users nor delays a call beyond four seconds', async () => {
    const [alice, bob] = [person(), person()];
    await publishPackages(alice);
    pds.block(alice.did, bob.did);
    pds.misbehave(alice.did, 'hang');
    const startedMs = Date.now();
    expect(await bob.call('getKeyPackages', { dids: [alice.did] })).toMatchObject({
      keyPackages: [{ did: alice.did }],
    });
    expect(Date.now() - startedMs).toBeLessThan(4_000);
  });

  test('invented DIDs cause no outbound request', async () => {
    const bob = person();
    const sentRequests = [pds.requests(), bed.plc.requests()];
    const dids = Array.from({ length: 100 }, () => bed.account({ pdsUrl: pds.url }).did);
    await bob.call('getKeyPackages', { dids });
    await bob.call('getOptInStatus', { dids });
    const [groupId, ...others] = [newSecret(16).toString('hex'), ...dids.slice(0, 50)];
    await bob.call('createConvo', { groupId, cipherSuite: craftedSuite, initialMembers: others });
    await bob.call('addMembers', { convoId: groupId, didList: dids.slice(50) });
    // The one request is for the key of the token.
    expect([pds.requests(), bed.plc.requests()]).toEqual([sentRequests[0], (sentRequests[1] ?? 0) + 1]);
  });

  test('a non-member cannot make the service send requests to the PDSs of the people they name', async () => {
    const [alice, bob, nonMember] = [person(), person(), person()];
    await publishPackages(bob, 1);
    const { convoId } = await createCraftedConversation(alice, []);
    const sentRequests = pds.requests(bob.did);
    expect(statusAndError(await nonMember.refusal('addMembers', { convoId, didList: [bob.did] }))).toEqual([
      404,
      'ConvoNotFound',
    ]);
    expect(pds.requests(bob.did)).toBe(sentRequests);
    await alice.call('addMembers', { convoId, didList: [bob.did] });
    expect(pds.requests(bob.did)).toBeGreaterThan(sentRequests);
  });
});

test('no table and no log line contains a block', async () => {
  const [alice, bob] = [person(), person()];
  pds.block(alice.did, bob.did);
  await alice.call('checkBlocks', { dids: [alice.did, bob.did] });
  const tables = await bed.database.sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name LIKE '%block%'`;
  expect(tables).toEqual([{ name: 'chat_sender_blocks' }]);
  expect(await bed.database.sql`SELECT * FROM chat_sender_blocks`).toHaveLength(0);
  expect(bed.server().logLines.filter((line) => /did:|app\.bsky/.test(line))).toEqual([]);
});
