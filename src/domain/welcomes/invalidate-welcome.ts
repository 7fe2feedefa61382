import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeDevice, welcomeRecipient } from './deliver-welcome.ts';
import { markInvalid } from './store.ts';

/**
 * Throws away the Welcomes that wait for the caller, or for one device of theirs, so that getWelcome serves none of them again; the
 * client then goes in by external commit or asks to be added anew.
 * @throws AppError ConvoNotFound, NotMember, DeviceNotFound, NotFound when none waits.
 */
export async function invalidateWelcome(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  input: { conversationId: string; deviceId: string | undefined },
): Promise<void> {
  const { privacy, timeBucketSeconds: bucketSeconds } = deps;
  const groupId = parseConversationId(input.conversationId);
  const tag = input.deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, input.deviceId);
  await requireMember(deps, caller, groupId);
  const recipient = welcomeRecipient(privacy, groupId, caller.did);
  const device = tag && welcomeDevice(privacy, groupId, tag);
  if ((await markInvalid(deps.db, { groupId, recipient, device, bucketSeconds })) === 0) throw domainError('NotFound');
}
