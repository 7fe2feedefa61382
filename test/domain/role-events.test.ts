import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareLogPositions, positionBefore } from '#domain/events/event.ts';
import { openEvents, readTail } from '#domain/events/read-events.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { addMembers } from '#domain/membership/add-members.ts';
import { roles } from '#domain/membership/member.ts';
import { listRosters } from '#domain/membership/members/list-rosters.ts';
import { removeMember } from '#domain/membership/remove-member.ts';
import { demoteAdmin } from '#domain/membership/roles/demote-admin.ts';
import { demoteModerator } from '#domain/membership/roles/demote-moderator.ts';
import { promoteAdmin } from '#domain/membership/roles/promote-admin.ts';
import { promoteModerator } from '#domain/membership/roles/promote-moderator.ts';
import { required } from '#platform/errors.ts';
import { newSecret } from '#platform/ids.ts';
import { randomPeople, refusalOf, sendRandom, startDomainHarness } from '../support/domain-harness.ts';
import type { DomainHarness, TestConversation, TestServer } from '../support/domain-harness.ts';

let harness: DomainHarness;
let servers: readonly [TestServer, TestServer];

beforeAll(async () => {
  harness = await startDomainHarness({ poolSize: 10 });
  servers = [harness.server, harness.addServer(10)];
});
afterAll(() => harness.close());

/** Reads the conversation's events as the tail of a server does, which follows the log while it grows. */
async function follow(
  server: TestServer,
  { groupId }: TestConversation,
  isOver: () => boolean,
): Promise<readonly StreamEvent[]> {
  const heard: StreamEvent[] = [];
  let after = positionBefore(0);
  for (;;) {
    const wasOver = isOver();
    const page = await readTail(server, after, { limit: 20, gaps: 'pass' });
    const own = page.events.filter((row) => row.groupId.equals(groupId));
    heard.push(...(await openEvents(server, own)).events);
    after = page.events.at(-1) ?? after;
    if (wasOver && page.events.length === 0 && !page.isHeld) return heard;
    await server.clock.sleep(2);
  }
}

/** Applies membership events in order. A person who joins is an ordinary member, and the first one is the creator. */
function rolesAfter(events: readonly StreamEvent[], creator: string): Record<string, string> {
  const role = new Map<string, string>();
  for (const event of events) {
    if (event.kind === 'membership' && event.action === 'joined') {
      role.set(event.did, event.did === creator ? 'admin' : 'member');
    } else if (event.kind === 'membership') {
      role.delete(event.did);
    } else if (event.kind === 'role') {
      expect(role.get(event.did), 'the role of a person who is no member changes').toBeDefined();
      expect(role.get(event.did), 'an event without a change').not.toBe(event.role);
      role.set(event.did, event.role);
    }
  }
  return Object.fromEntries(role);
}

const roleNames = { [roles.member]: 'member', [roles.moderator]: 'moderator', [roles.admin]: 'admin' } as const;

// Safe because the event is written under the conversation's lock, in the transaction of the change.
test('while roles change, messages are sent and members are removed and added, every server reads one order, and the events give the roster', async () => {
  const [creator = '', ...people] = randomPeople(7);
  const conversation = await harness.createConversation([creator, ...people]);
  const { id: conversationId, groupId } = conversation;
  let isOver = false;
  let sent = 0;
  const following = Promise.all(servers.map((server) => follow(server, conversation, () => isOver)));
  const act = async (index: number): Promise<void> => {
    const server = required(servers[index % 2], 'a server');
    const caller = { did: creator };
    for (let round = 0; round < 40; round++) {
      const [dice = 0, at = 0] = newSecret(2);
      const targetDid = required(people[at % people.length], 'a person');
      const target = { conversationId, targetDid };
      const moves = [
        () => promoteAdmin(server, caller, target),
        () => demoteAdmin(server, caller, target),
        () => promoteModerator(server, caller, target),
        () => demoteModerator(server, caller, target),
        () => removeMember(server, caller, { ...target, commit: undefined }),
        () => addMembers(server, caller, { conversationId, dids: [targetDid], ...withoutCommit }),
        () => sendRandom(server, targetDid, conversation).then(() => (sent += 1)),
      ];
      await refusalOf(required(moves[dice % moves.length], 'a move')());
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, index) => act(index))).finally(() => (isOver = true));
  const [first, second] = await following;

  const heard = required(first, 'events');
  expect(required(second, 'events')).toEqual(heard);
  expect(heard.map(({ eventNo }) => eventNo)).toEqual(heard.map((_, index) => index + 1));
  expect(heard.slice(1).every((event, index) => compareLogPositions(required(heard[index], 'one'), event) < 0)).toBe(
    true,
  );
  expect(heard.filter(({ kind }) => kind === 'message')).toHaveLength(sent);
  expect(heard.filter(({ kind }) => kind === 'role').length, 'hardly any change went through').toBeGreaterThan(20);
  const { members } = required((await listRosters(harness.server, [groupId])).get(conversationId), 'a roster');
  expect(rolesAfter(heard, creator)).toEqual(
    Object.fromEntries(members.map(({ did, role }) => [did, roleNames[role as keyof typeof roleNames]])),
  );
}, 60_000);

const withoutCommit = { commit: undefined, welcome: undefined, groupInfo: undefined };

test('an event of a role stores what events of joins store: a sealed person, no author and no message', async () => {
  const [alice = '', bob = ''] = randomPeople(2);
  const conversation = await harness.createConversation([alice, bob]);
  await promoteAdmin(servers[0], { did: alice }, { conversationId: conversation.id, targetDid: bob });
  const rows = await harness.database.sql<Record<string, unknown>[]>`
    SELECT * FROM events WHERE group_id = ${conversation.groupId} ORDER BY event_no`;
  const joined = required(rows[1], 'the join of Bob');
  const changed = required(rows[2], 'the change of role');
  const differs = Object.keys(changed).filter((column) => String(changed[column]) !== String(joined[column]));
  expect(differs.toSorted()).toEqual(['event_no', 'kind', 'position', 'sealed_did']);
  expect((changed['sealed_did'] as Buffer).length).toBe((joined['sealed_did'] as Buffer).length);
  expect([changed['seq'], changed['reference']]).toEqual([null, null]);
});
