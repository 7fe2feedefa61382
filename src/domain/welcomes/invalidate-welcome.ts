import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeDevice, welcomeRecipient } from './deliver-welcome.ts';
import { consumeOfRecipient } from './store.ts';

/**
 * Discards the Welcomes that wait for the caller, or for one of their devices. The client can then join by external
 * commit or ask to be added again.
 * @throws AppError ConvoNotFound, NotMember, DeviceNotFound, NotFound when no Welcome waits.
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
  const query = { groupId, recipient, device, which: 'waiting', bucketSeconds } as const;
  if ((await consumeOfRecipient(deps.db, query)) === 0) throw domainError('NotFound');
}
