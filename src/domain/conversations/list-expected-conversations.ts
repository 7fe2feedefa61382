import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { listMemberStatuses } from '#domain/membership/members/list-member-statuses.ts';
import { welcomeDevice } from '#domain/welcomes/deliver-welcome.ts';
import { listWelcomes } from '#domain/welcomes/list-welcomes.ts';
import { welcomeStates } from '#domain/welcomes/welcome.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { openMetadata } from './open-metadata.ts';
import { lastMessageTime } from './last-message-time.ts';
import { selectConversationsWithLastMessage } from './store.ts';

/** A conversation of the caller, and whether the given device is in its MLS group (lexicon `expectedConversation`). */
export interface ExpectedConversation {
  readonly groupId: Buffer;
  /** Empty when clients have sent the service no name. */
  readonly name: string;
  readonly memberCount: number;
  /** As `lastMessageAt` of the conversation. */
  readonly lastActivity: Date | undefined;
  /** Whether the caller requested readdition and has not rejoined yet. */
  readonly needsRejoin: boolean;
  /** Undefined when no Welcome for the device is stored, because the service cannot see the members of an MLS group. */
  readonly deviceInGroup: boolean | undefined;
}

interface ExpectedDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly messageTtlDays: number;
}

const loadAtOnceMax = 100;

/**
 * Lists the caller's conversations in the order of their ids.
 * @param deviceId the caller's device whose group membership is reported; undefined to report none.
 * @throws AppError DeviceNotFound.
 */
export async function listExpectedConversations(
  deps: ExpectedDeps,
  caller: Caller,
  deviceId: string | undefined,
): Promise<ExpectedConversation[]> {
  const tag = deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, deviceId);
  const groupIds = (await readConversationList(deps, caller.did)).sort((a, b) => Buffer.compare(a, b));
  const expected: ExpectedConversation[] = [];
  for (let start = 0; start < groupIds.length; start += loadAtOnceMax) {
    expected.push(...(await loadChunk(deps, caller, groupIds.slice(start, start + loadAtOnceMax), tag)));
  }
  return expected;
}

async function loadChunk(
  deps: ExpectedDeps,
  caller: Caller,
  groupIds: readonly Buffer[],
  tag: Buffer | undefined,
): Promise<ExpectedConversation[]> {
  const [conversations, statuses, isInGroup] = await Promise.all([
    selectConversationsWithLastMessage(deps.db, groupIds, deps.messageTtlDays),
    listMemberStatuses(deps, caller, groupIds),
    tag === undefined ? new Map<string, boolean>() : readDeviceStates(deps, caller, groupIds, tag),
  ]);
  const byId = new Map(conversations.map((row) => [row.groupId.toString('hex'), row]));
  return groupIds.flatMap((groupId) => {
    const id = groupId.toString('hex');
    const [row, memberStatus] = [byId.get(id), statuses.get(id)];
    if (row === undefined || memberStatus === undefined) return [];
    const name = openMetadata(deps.privacy, row)?.name ?? '';
    const { memberCount, needsRejoin, joinedSeq } = memberStatus;
    const lastActivity = lastMessageTime(row, joinedSeq);
    return [{ groupId, name, memberCount, lastActivity, needsRejoin, deviceInGroup: isInGroup.get(id) }];
  });
}

/**
 * Reads whether the device has confirmed all of its Welcomes, by conversation id (hex). Conversations without a Welcome
 * for the device are left out.
 */
async function readDeviceStates(
  deps: ExpectedDeps,
  caller: Caller,
  groupIds: readonly Buffer[],
  tag: Buffer,
): Promise<Map<string, boolean>> {
  const isInGroup = new Map<string, boolean>();
  for (const { groupId, device, state } of await listWelcomes(deps, caller, groupIds)) {
    const id = groupId.toString('hex');
    if (!device.equals(welcomeDevice(deps.privacy, groupId, tag))) continue;
    isInGroup.set(id, (isInGroup.get(id) ?? true) && state === welcomeStates.consumed);
  }
  return isInGroup;
}
