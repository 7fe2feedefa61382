import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { clearRejoin } from '#domain/membership/rejoin/clear-rejoin.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeDevice, welcomeRecipient } from './deliver-welcome.ts';
import { consumeOfRecipient } from './store.ts';

/**
 * Marks a fetched Welcome as consumed, because the client has joined with it. With `success: false`, the Welcome stays
 * available for another attempt.
 * @throws AppError ConvoNotFound, NotMember, DeviceNotFound.
 */
export async function confirmWelcome(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  input: { conversationId: string; deviceId: string | undefined; success: boolean },
): Promise<void> {
  const { privacy } = deps;
  const groupId = parseConversationId(input.conversationId);
  const tag = input.deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, input.deviceId);
  await requireMember(deps, caller, groupId);
  if (!input.success) return;
  await consumeOfRecipient(deps.db, {
    which: 'fetched',
    groupId,
    recipient: welcomeRecipient(privacy, groupId, caller.did),
    device: tag && welcomeDevice(privacy, groupId, tag),
    bucketSeconds: deps.timeBucketSeconds,
  });
  await clearRejoin(deps, caller, groupId);
}
