import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodNames } from '#xrpc/mls/endpoints.ts';
import { required } from '#platform/errors.ts';
import { methodCalls } from '../support/clients/authorization-calls.ts';
import {
  createParticipants,
  createConversationFixture,
  missingConversationFixture,
  readCursor,
} from '../support/clients/authorization-fixture.ts';
import type { Participants, ConversationFixture } from '../support/clients/authorization-fixture.ts';
import { openRawServerSentEvents, openRawSocket, StreamRefused } from '../support/clients/raw-streams.ts';
import { startLoopbackPds } from '../support/network/loopback-pds.ts';
import type { LoopbackPds } from '../support/network/loopback-pds.ts';
import { startTestBed } from '../support/test-server.ts';
import type { TestBed } from '../support/test-server.ts';
import { errorNameOf } from '../support/clients/xrpc-client.ts';
import type { RawResponse, RawRequest, XrpcClient } from '../support/clients/xrpc-client.ts';
import { authorization, notThere, roles } from './authorization.ts';
import type { AuthorizedMethod, Outcome, Role } from './authorization.ts';

let bed: TestBed;
let pds: LoopbackPds;
let participants: Participants;
/** The conversation of all calls that are refused or only read. */
let shared: ConversationFixture;
let nothing: ConversationFixture;

beforeAll(async () => {
  pds = await startLoopbackPds();
  bed = await startTestBed({ env: { BLOCK_CHECKS: 'true' } });
  participants = await createParticipants(bed, pds, readCursor);
  shared = await createConversationFixture(participants);
  // Created first, so that their creation is not seen as an effect of a refused call; the Welcome's commit ends the epoch.
  await Promise.all([shared.reportId(), shared.additionId(), shared.inviteId(), shared.groupInfo()]);
  await Promise.all([shared.welcome(), shared.chatRequest()]);
  nothing = missingConversationFixture(participants);
});
afterAll(async () => {
  await bed.stop();
  await pds.close();
});

const methods = Object.keys(authorization) as AuthorizedMethod[];
const isStream = (method: AuthorizedMethod): method is 'streamConvoEvents' | 'subscribeConvoEvents' =>
  method === 'streamConvoEvents' || method === 'subscribeConvoEvents';

/** The outcome of a call, and all parts of the response that could differ between two cases. */
interface CallResult {
  readonly outcome: Outcome;
  readonly shown: unknown;
}

async function callOnce(method: AuthorizedMethod, fixture: ConversationFixture, role: Role): Promise<CallResult> {
  const client = participants.clients[role];
  if (isStream(method)) return callStream(method, client, fixture.convoId);
  const request: RawRequest = await methodCalls[method](fixture, role);
  const response = await client.raw(method, request);
  return { outcome: outcomeOf(response), shown: comparable(response) };
}

/** Returns the outcome. Two methods report refusals in the body of a 200 response. */
function outcomeOf(response: RawResponse): Outcome {
  if (response.status !== 200) return String(errorNameOf(response));
  const { claimed, success } = JSON.parse(response.text) as Record<string, unknown>;
  return claimed === false || success === false ? 'nothing' : 'ok';
}

function comparable({ status, headers, text }: RawResponse): unknown {
  const varying = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset'];
  return { status, text, headers: [...headers].filter(([name]) => !varying.includes(name)) };
}

async function callStream(
  method: 'streamConvoEvents' | 'subscribeConvoEvents',
  client: XrpcClient,
  convoId: string,
): Promise<CallResult> {
  try {
    if (method === 'streamConvoEvents') (await openRawServerSentEvents(client, { convoId })).close();
    else {
      const { ticket } = await client.call('getSubscriptionTicket', {});
      await (await openRawSocket(client, { convoId, ticket })).close();
    }
    return { outcome: 'ok', shown: 'ok' };
  } catch (error) {
    if (!(error instanceof StreamRefused)) throw error;
    return { outcome: error.error, shown: [error.status, error.error] };
  }
}

/** Returns a new conversation for calls that change it or consume its data, so that the cells of the table are independent. */
function fixtureFor(method: AuthorizedMethod, role: Role): Promise<ConversationFixture> | ConversationFixture {
  const row = authorization[method];
  const isRead = method.startsWith('get') && !['getGroupInfo', 'getWelcome'].includes(method);
  const isOfPerson = ['ok', 'DeviceNotFound', 'BlockNotVerified'].includes(row.nonMember);
  return row[role] === 'ok' && !isRead && !isOfPerson && !isStream(method)
    ? createConversationFixture(participants)
    : shared;
}

/** Reads all data of the shared conversation that a call could change. */
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

describe('authorization', () => {
  test('the table has exactly the methods of the service', () => {
    expect(methods.toSorted()).toEqual([...methodNames].toSorted());
  });

  test.for(methods)('%s', async (method) => {
    const row = authorization[method];
    const before = await stateOfShared();
    const seen = await Promise.all(
      roles.map(
        async (role) => [role, (await callOnce(method, await fixtureFor(method, role), role)).outcome] as const,
      ),
    );
    expect(Object.fromEntries(seen)).toEqual(row);
    expect(await stateOfShared(), 'a refusal changed something').toEqual(before);
  });

  const hidden = methods.flatMap((method) =>
    roles.filter((role) => notThere.has(authorization[method][role])).map((role) => [method, role] as const),
  );

  test.for(hidden)('%s: the %s gets the same bytes as for something that does not exist', async ([method, role]) => {
    const [real, imagined] = [await callOnce(method, shared, role), await callOnce(method, nothing, role)];
    expect(real).toEqual(imagined);
    expect(real.outcome).toBe(authorization[method][role]);
  });
});

test('every role has a different account, except for the second device of the member', () => {
  const dids = roles.map((role) => required(participants.clients[role], role).did);
  expect(new Set(dids).size).toBe(roles.length - 1);
  expect(participants.clients.otherDevice.did).toBe(participants.clients.member.did);
});
