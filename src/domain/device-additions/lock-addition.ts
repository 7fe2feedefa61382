import type { Caller } from '#domain/caller.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { readWaitingDevice } from '#domain/devices/waiting-devices.ts';
import { isAppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { additionKey, parseAdditionId } from './device-addition.ts';
import type { Candidate } from './device-addition.ts';

export interface LockedAddition {
  readonly candidate: Candidate;
  readonly key: Buffer;
  readonly locked: LockedConversation;
}

/**
 * Finds the addition with this id and locks its conversation.
 * @returns undefined when the addition does not exist or the caller was never in the conversation.
 * @throws AppError NotMember for removed members.
 */
export async function lockAddition(
  deps: { privacy: Privacy; deviceWaitDays: number },
  tx: Tx,
  caller: Caller,
  id: string,
): Promise<LockedAddition | undefined> {
  const parsed = parseAdditionId(id);
  const device = parsed && (await readWaitingDevice({ ...deps, db: tx }, parsed.deviceId));
  if (parsed === undefined || device === undefined) return undefined;
  const groupId = device.groupIds.find((each) =>
    additionKey(deps.privacy, { device, groupId: each }).equals(parsed.key),
  );
  if (groupId === undefined) return undefined;
  try {
    const { locked } = await lockConversation(deps, tx, caller, groupId);
    return { candidate: { device, groupId }, key: parsed.key, locked };
  } catch (error) {
    if (isAppError(error) && error.code === 'ConvoNotFound') return undefined;
    throw error;
  }
}
