import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sql } from '#storage/connection/database.ts';
import { methodCalls } from '../support/clients/authorization-calls.ts';
import { createParticipants, createConversationFixture } from '../support/clients/authorization-fixture.ts';
import type { Participants, ConversationFixture } from '../support/clients/authorization-fixture.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawResponse } from '../support/clients/xrpc-client.ts';
import { authorization, notThere } from './authorization.ts';
import type { Role } from './authorization.ts';

/*
 * The duration of a call that waits for the lock of a conversation reveals that the conversation exists. So an unauthorized caller must
 * be refused without the lock. Every method is tested, so that a new method that locks before the check fails here.
 */
type Method = keyof typeof methodCalls;
const methods = Object.keys(methodCalls) as Method[];
/** Methods and roles that are refused before any check that needs the lock. */
const outsiders = methods.flatMap((method) =>
  (['nonMember', 'removed', 'left'] as const)
    .filter((role) => notThere.has(authorization[method][role]) || authorization[method][role] === 'NotMember')
    .map((role) => [method, role] as const),
);

let bed: TestBed;
let pds: LoopbackPds;
let participants: Participants;
let fixture: ConversationFixture;
let holder: Awaited<ReturnType<Sql['reserve']>>;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  participants = await createParticipants(bed, pds, () => Promise.resolve('none'));
  fixture = await createConversationFixture(participants);
  // Created now, because creating them needs the lock.
  await Promise.all([fixture.reportId(), fixture.additionId(), fixture.inviteId(), fixture.groupInfo()]);
  await Promise.all([fixture.welcome(), fixture.chatRequest()]);
  holder = await bed.database.sql.reserve();
});
afterAll(async () => {
  holder.release();
  await bed.stop();
  await pds.close();
});

/** Calls a method while another session has the conversation's lock. @returns `waits` if the call waited; its wait is then ended. */
async function callUnderLock(method: Method, role: Role): Promise<string> {
  const request = await methodCalls[method](fixture, role);
  await holder`BEGIN`;
  await holder`SET LOCAL idle_in_transaction_session_timeout = 0`;
  await holder`SELECT 1 FROM conversation_counters WHERE group_id = ${fixture.groupId} FOR UPDATE`;
  let response: RawResponse | undefined;
  const calling = participants.clients[role].raw(method, request).then((given) => (response = given));
  let waited = false;
  while (response === undefined && !waited) waited = await endWaiter();
  await holder`ROLLBACK`;
  await calling;
  if (waited) return 'waits';
  if (response?.status !== 200) return response === undefined ? 'no response' : String(errorNameOf(response));
  const { claimed, success } = JSON.parse(response.text) as Record<string, unknown>;
  return claimed === false || success === false ? 'nothing' : 'ok';
}

async function endWaiter(): Promise<boolean> {
  const ended = await bed.database.sql`
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0`;
  return ended.length > 0;
}

test.for(outsiders)('%s: the %s is refused without waiting for the lock', async ([method, role]) => {
  expect(await callUnderLock(method, role)).toBe(authorization[method][role]);
});

test('authorized callers wait for the lock, so the tests above hold the right one', async () => {
  const waiting: Method[] = [];
  for (const method of methods) {
    const role = (['member', 'moderator', 'admin'] as const).find((each) => authorization[method][each] === 'ok');
    const isOfConversation = outsiders.some(([each]) => each === method);
    if (role !== undefined && isOfConversation && (await callUnderLock(method, role)) === 'waits') waiting.push(method);
  }
  const known: Method[] = [
    'addMembers',
    'claimPendingDeviceAddition',
    'createInvite',
    'groupInfoRefresh',
    'leaveConvo',
    'processExternalCommit',
    'promoteAdmin',
    'readdition',
    'rejoin',
    'removeMember',
    'reportMember',
    'resolveReport',
    'revokeInvite',
    'sendMessage',
    'updateGroupInfo',
    'updatePolicy',
    'warnMember',
  ];
  expect(waiting).toEqual(expect.arrayContaining(known));
});
