import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { required } from '#platform/errors.ts';
import { sceneCalls } from '../support/clients/authorization-calls.ts';
import { gatherCast, newScene, sceneOfNothing } from '../support/clients/authorization-fixture.ts';
import type { Cast, Scene } from '../support/clients/authorization-fixture.ts';
import { createCraftedConversation, sendCrafted } from '../support/mls/crafted-conversation.ts';
import { openEventStream, StreamRefused } from '../support/clients/event-stream.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { openServerSentEvents, ServerSentEventsRefused } from '../support/clients/server-sent-events.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawAnswer, RawRequest, XrpcClient } from '../support/clients/xrpc-client.ts';
import { authorization, notThere, roles } from './authorization.ts';
import type { AuthorizedMethod, Outcome, Role } from './authorization.ts';

let bed: TestBed;
let pds: LoopbackPds;
let cast: Cast;
/** Whatever is refused, or only read, is about this one. */
let shared: Scene;
let nothing: Scene;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  cast = await gatherCast(bed, pds, aCursor);
  shared = await newScene(cast);
  // Made now, so that making them does not count as the effect of a refused call; the Welcome's commit ends the epoch.
  await Promise.all([shared.reportId(), shared.additionId(), shared.inviteId(), shared.groupInfo()]);
  await Promise.all([shared.welcome(), shared.chatRequest()]);
  nothing = sceneOfNothing(cast);
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

async function aCursor(client: XrpcClient): Promise<string> {
  const conversation = await createCraftedConversation(client, []);
  const stream = await openEventStream(client, { convoId: conversation.convoId });
  await sendCrafted(client, conversation);
  const { cursor } = await stream.next('messageEvent');
  await stream.close();
  return cursor;
}

const methods = Object.keys(authorization) as AuthorizedMethod[];
const isStream = (method: AuthorizedMethod): method is 'streamConvoEvents' | 'subscribeConvoEvents' =>
  method === 'streamConvoEvents' || method === 'subscribeConvoEvents';

/** What came of a call: the outcome, and all that a caller could tell two answers apart by. */
interface Seen {
  readonly outcome: Outcome;
  readonly shown: unknown;
}

async function see(method: AuthorizedMethod, scene: Scene, role: Role): Promise<Seen> {
  const client = cast.clients[role];
  if (isStream(method)) return seeStream(method, client, scene.convoId);
  const request: RawRequest = await sceneCalls[method](scene, role);
  const answer = await client.raw(method, request);
  return { outcome: outcomeOf(answer), shown: comparable(answer) };
}

/** Refusals of these two stand in the answer itself. */
function outcomeOf(answer: RawAnswer): Outcome {
  if (answer.status !== 200) return String(errorNameOf(answer));
  const { claimed, success } = JSON.parse(answer.text) as Record<string, unknown>;
  return claimed === false || success === false ? 'nothing' : 'ok';
}

function comparable({ status, headers, text }: RawAnswer): unknown {
  const varying = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset'];
  return { status, text, headers: [...headers].filter(([name]) => !varying.includes(name)) };
}

async function seeStream(
  method: 'streamConvoEvents' | 'subscribeConvoEvents',
  client: XrpcClient,
  convoId: string,
): Promise<Seen> {
  try {
    if (method === 'streamConvoEvents') (await openServerSentEvents(client, { convoId })).close();
    else {
      const { ticket } = await client.call('getSubscriptionTicket', {});
      await (await openEventStream(client, { convoId, ticket })).close();
    }
    return { outcome: 'ok', shown: 'ok' };
  } catch (error) {
    if (!(error instanceof StreamRefused || error instanceof ServerSentEventsRefused)) throw error;
    return { outcome: error.error, shown: [error.status, error.error] };
  }
}

/** Calls that change a conversation or use up what is in it get one of their own, so that no cell depends on another. */
function sceneFor(method: AuthorizedMethod, role: Role): Promise<Scene> | Scene {
  const row = authorization[method];
  const isRead = method.startsWith('get') && !['getGroupInfo', 'getWelcome'].includes(method);
  const isOfPerson = ['ok', 'DeviceNotFound', 'BlockNotVerified'].includes(row.stranger);
  return row[role] === 'ok' && !isRead && !isOfPerson && !isStream(method) ? newScene(cast) : shared;
}

/** Everything about the shared conversation that a call could change. */
async function stateOfShared(): Promise<unknown> {
  const { groupId } = shared;
  const { sql } = bed.database;
  const counters = await sql`SELECT epoch, last_seq, last_event FROM conversation_counters WHERE group_id = ${groupId}`;
  const members = await sql`
    SELECT member, role, state, left_event, removal_pending FROM members WHERE group_id = ${groupId} ORDER BY member`;
  const counts = await sql`
    SELECT (SELECT count(*)::int FROM reports WHERE group_id = ${groupId} AND state = 1) AS reports,
           (SELECT count(*)::int FROM invites WHERE group_id = ${groupId} AND revoked_at IS NULL) AS invites,
           (SELECT count(*)::int FROM policies WHERE group_id = ${groupId}) AS policies`;
  return [counters, members, counts].map((rows) => [...rows]);
}

describe('who may do what', () => {
  test('the table has every method that the service answers, and no other', () => {
    expect(methods.toSorted()).toEqual([...methodNames].toSorted());
  });

  test.for(methods)('%s', async (method) => {
    const row = authorization[method];
    const before = await stateOfShared();
    const seen = await Promise.all(
      roles.map(async (role) => [role, (await see(method, await sceneFor(method, role), role)).outcome] as const),
    );
    expect(Object.fromEntries(seen)).toEqual(row);
    expect(await stateOfShared(), 'a refusal changed something').toEqual(before);
  });

  const hidden = methods.flatMap((method) =>
    roles.filter((role) => notThere.has(authorization[method][role])).map((role) => [method, role] as const),
  );

  test.for(hidden)('%s: the %s sees the same, byte for byte, as if nothing were there', async ([method, role]) => {
    const [real, imagined] = [await see(method, shared, role), await see(method, nothing, role)];
    expect(real).toEqual(imagined);
    expect(real.outcome).toBe(authorization[method][role]);
  });
});

test('every role is played by somebody, and the other device is the same person', () => {
  const dids = roles.map((role) => required(cast.clients[role], role).did);
  expect(new Set(dids).size).toBe(roles.length - 1);
  expect(cast.clients.otherDevice.did).toBe(cast.clients.member.did);
});
