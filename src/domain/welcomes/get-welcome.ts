import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { domainError } from '#domain/domain-error.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { unpadFromBucket } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeDevice, welcomeRecipient } from './deliver-welcome.ts';
import { lockNextWelcome, markFetched } from './store.ts';

/**
 * Returns the Welcome with which the caller, or one of their devices, can join. It can be fetched again until it is
 * confirmed.
 * @throws AppError ConvoNotFound, NotMember, WelcomeNotFound, DeviceNotFound.
 */
export async function getWelcome(
  deps: { db: Db; privacy: Privacy; timeBucketSeconds: number },
  caller: Caller,
  input: { conversationId: string; deviceId: string | undefined },
): Promise<Buffer> {
  const { privacy } = deps;
  const groupId = parseConversationId(input.conversationId);
  const tag = input.deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, input.deviceId);
  return deps.db.transaction().execute(async (tx) => {
    await requireMember({ privacy, db: tx }, caller, groupId);
    const pending = await lockNextWelcome(tx, {
      groupId,
      recipient: welcomeRecipient(privacy, groupId, caller.did),
      device: tag && welcomeDevice(privacy, groupId, tag),
    });
    if (pending === undefined) throw domainError('WelcomeNotFound');
    await markFetched(tx, groupId, pending.ref, deps.timeBucketSeconds);
    return unpadFromBucket(privacy.unseal('welcome', [groupId, pending.epoch], pending.sealedWelcome));
  });
}
