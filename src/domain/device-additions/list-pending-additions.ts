import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { decodeGroupId } from '#domain/conversations/conversation.ts';
import { readDevicesWaitingSince, readWaitingDevices } from '#domain/devices/waiting-devices.ts';
import { listActiveMembers } from '#domain/membership/members/list-active-members.ts';
import { limits } from '#platform/limits.ts';
import { candidatesOf } from './device-addition.ts';
import type { Candidate, PendingAddition } from './device-addition.ts';
import { filterPendingAdditions, filterPendingOfMembers } from './filter-pending-additions.ts';
import type { AdditionDeps } from './filter-pending-additions.ts';

const conversationsAtOnce = 50;
const always = new Date(0);

/**
 * Lists the devices of members, including the caller's devices, that wait to be added to the caller's conversations.
 * Conversations that the caller is not in are skipped as if they did not exist.
 */
export async function listPendingAdditions(
  deps: AdditionDeps,
  caller: Caller,
  query: { conversationIds: readonly string[] | undefined; limit: number },
): Promise<PendingAddition[]> {
  const namedIds =
    query.conversationIds && new Set(query.conversationIds.map((id) => decodeGroupId(id)?.toString('hex')));
  const groupIds = (await readConversationList(deps, caller.did)).filter(
    (groupId) => namedIds === undefined || namedIds.has(groupId.toString('hex')),
  );
  if (groupIds.length === 0) return [];
  const devices = await readDevicesWaitingSince(deps, always, limits.devicesPerCatchUpMax);
  if (devices === undefined) return searchByMembers(deps, groupIds, query.limit);
  const ids = new Set(groupIds.map((groupId) => groupId.toString('hex')));
  const candidates = candidatesOf(devices, (conversationId) => ids.has(conversationId));
  return (await filterPendingOfMembers(deps, candidates)).slice(0, query.limit);
}

/**
 * Finds pending additions through the members of the conversations, because too many devices wait for a single query.
 * The search ends at `limit` or after `limits.membersPerAdditionsPageMax` memberships, so a caller with more must name
 * conversations.
 */
async function searchByMembers(
  deps: AdditionDeps,
  groupIds: readonly Buffer[],
  limit: number,
): Promise<PendingAddition[]> {
  const found: PendingAddition[] = [];
  let memberships = 0;
  for (let next = 0; next < groupIds.length; next += conversationsAtOnce) {
    const members = await listActiveMembers(deps, groupIds.slice(next, next + conversationsAtOnce));
    found.push(...(await filterPendingAdditions(deps, await candidatesAmong(deps, members))));
    for (const list of members.values()) memberships += list.length;
    if (found.length >= limit || memberships >= limits.membersPerAdditionsPageMax) break;
  }
  return found.slice(0, limit);
}

async function candidatesAmong(
  deps: AdditionDeps,
  members: ReadonlyMap<string, readonly { did: string }[]>,
): Promise<Candidate[]> {
  const dids = new Set([...members.values()].flat().map(({ did }) => did));
  const devices = await readWaitingDevices(deps, [...dids]);
  return devices.flatMap((device) =>
    candidatesOf([device], (id) => members.get(id)?.some(({ did }) => did === device.did) === true),
  );
}
