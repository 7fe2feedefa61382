import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { decodeGroupId } from '#domain/conversations/conversation.ts';
import { readWaitingDevices } from '#domain/devices/waiting-devices.ts';
import { listActiveMembers } from '#domain/membership/list-active-members.ts';
import type { Clock } from '#platform/clock.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import type { Candidate, PendingAddition } from './device-addition.ts';
import { openAdditions } from './open-additions.ts';

const conversationsAtOnce = 50;

/**
 * Devices that wait to be added to the caller's conversations, those of other members and the caller's own. Conversations that
 * the caller is not in are passed over as if they did not exist. The search ends at `limit`, or after so many memberships
 * that a caller in more has to name the conversations.
 */
export async function listPendingAdditions(
  deps: { db: Db; privacy: Privacy; clock: Clock },
  caller: Caller,
  query: { conversationIds: readonly string[] | undefined; limit: number },
): Promise<PendingAddition[]> {
  const wanted =
    query.conversationIds && new Set(query.conversationIds.map((id) => decodeGroupId(id)?.toString('hex')));
  const groupIds = (await readConversationList(deps, caller.did)).filter(
    (groupId) => wanted === undefined || wanted.has(groupId.toString('hex')),
  );
  const found: PendingAddition[] = [];
  let memberships = 0;
  for (let next = 0; next < groupIds.length; next += conversationsAtOnce) {
    const members = await listActiveMembers(deps, groupIds.slice(next, next + conversationsAtOnce));
    found.push(...(await openAdditions(deps, await candidatesAmong(deps, members))));
    for (const list of members.values()) memberships += list.length;
    if (found.length >= query.limit || memberships >= limits.membersPerAdditionsPageMax) break;
  }
  return found.slice(0, query.limit);
}

async function candidatesAmong(
  deps: { db: Db; privacy: Privacy },
  members: ReadonlyMap<string, readonly { did: string }[]>,
): Promise<Candidate[]> {
  const dids = new Set([...members.values()].flat().map(({ did }) => did));
  const devices = await readWaitingDevices(deps, [...dids]);
  return devices.flatMap((device) =>
    device.groupIds
      .filter((groupId) => members.get(groupId.toString('hex'))?.some(({ did }) => did === device.did) === true)
      .map((groupId) => ({ device, groupId })),
  );
}
