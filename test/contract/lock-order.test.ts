import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sql } from '#storage/connection/database.ts';
import { sceneCalls } from '../support/clients/authorization-calls.ts';
import { gatherCast, newScene } from '../support/clients/authorization-fixture.ts';
import type { Cast, Scene } from '../support/clients/authorization-fixture.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawAnswer } from '../support/clients/xrpc-client.ts';
import { authorization, notThere } from './authorization.ts';
import type { Role } from './authorization.ts';

/*
 * A call that waits for the lock of a conversation tells that there is one, by the time it takes. So whoever is refused is refused
 * without the lock, whoever holds it. Every method is tried, so that a new one which locks before it looks is found.
 */
type Method = keyof typeof sceneCalls;
const methods = Object.keys(sceneCalls) as Method[];
/** Refused for who they are, before anything is judged that needs the lock. */
const outsiders = methods.flatMap((method) =>
  (['stranger', 'removed', 'left'] as const)
    .filter((role) => notThere.has(authorization[method][role]) || authorization[method][role] === 'NotMember')
    .map((role) => [method, role] as const),
);

let bed: TestBed;
let pds: LoopbackPds;
let cast: Cast;
let scene: Scene;
let holder: Awaited<ReturnType<Sql['reserve']>>;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  cast = await gatherCast(bed, pds, () => Promise.resolve('none'));
  scene = await newScene(cast);
  // Nothing may be made later, under the lock.
  await Promise.all([scene.reportId(), scene.additionId(), scene.inviteId(), scene.groupInfo()]);
  await Promise.all([scene.welcome(), scene.chatRequest()]);
  holder = await bed.database.sql.reserve();
});
afterAll(async () => {
  holder.release();
  await bed.stop();
  await pds.close();
});

/** Calls while another session holds the conversation's lock. @returns `waits` when the call waited for it; it is then ended. */
async function callUnderLock(method: Method, role: Role): Promise<string> {
  const request = await sceneCalls[method](scene, role);
  await holder`BEGIN`;
  await holder`SET LOCAL idle_in_transaction_session_timeout = 0`;
  await holder`SELECT 1 FROM conversation_counters WHERE group_id = ${scene.groupId} FOR UPDATE`;
  let answer: RawAnswer | undefined;
  const calling = cast.clients[role].raw(method, request).then((given) => (answer = given));
  let waited = false;
  while (answer === undefined && !waited) waited = await endWaiter();
  await holder`ROLLBACK`;
  await calling;
  if (waited) return 'waits';
  if (answer?.status !== 200) return answer === undefined ? 'no answer' : String(errorNameOf(answer));
  const { claimed, success } = JSON.parse(answer.text) as Record<string, unknown>;
  return claimed === false || success === false ? 'nothing' : 'ok';
}

async function endWaiter(): Promise<boolean> {
  const ended = await bed.database.sql`
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0`;
  return ended.length > 0;
}

test.for(outsiders)('%s: the %s is refused at once while somebody holds the lock', async ([method, role]) => {
  expect(await callUnderLock(method, role)).toBe(authorization[method][role]);
});

test('the lock that was held is the one that those who may call wait for', async () => {
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
