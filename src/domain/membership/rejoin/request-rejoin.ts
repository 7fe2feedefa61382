import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { loadConversationFacts } from '#domain/conversations/load-conversation-facts.ts';
import { lockWithoutMembershipCheck } from '#domain/conversations/lock-conversation.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { publishKeyPackages } from '#domain/key-packages/publish-key-packages.ts';
import type { PublishDeps } from '#domain/key-packages/publish-key-packages.ts';
import { refusalWithText } from '#domain/refusal-reasons.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { MembershipDeps } from '../add-members.ts';
import { sendHelpRequestInTransaction } from './send-help-request.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { requireRejoiningMember } from './require-rejoining-member.ts';
import { updateNeedsRejoin } from '../store.ts';

export interface RejoinRequest {
  readonly conversationId: string;
  /** The key package with which a member can add the caller's device. */
  readonly keyPackage: Buffer;
  readonly deviceId: string | undefined;
}

/**
 * Publishes the caller's key package, marks the membership until the caller has rejoined, and requests readdition from
 * the members. The service cannot check whether the caller's device lost the group's state, so it believes the caller.
 * @returns the id of the request, which is the same for every request of the caller in this conversation.
 * @throws AppError ConvoNotFound, NotMember, DeviceNotFound, InvalidKeyPackage, TooManyKeyPackages.
 */
export async function requestRejoin(
  deps: MembershipDeps & PublishDeps,
  caller: Caller,
  input: RejoinRequest,
): Promise<string> {
  const groupId = parseConversationId(input.conversationId);
  const tag = input.deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, input.deviceId);
  await deps.db.transaction().execute(async (tx) => {
    await requireRejoiningMember({ privacy: deps.privacy, db: tx }, caller, groupId);
    // The key package is published before the lock is taken, so that its signature check does not block the
    // conversation.
    await publish(deps, tx, caller, { groupId, bytes: input.keyPackage, deviceTag: tag });
    const locked = await lockWithoutMembershipCheck(tx, groupId);
    await sendHelpRequestInTransaction(deps, tx, { caller, locked, request: 'readdition' });
    await updateNeedsRejoin(tx, groupId, {
      member: memberPseudonym(deps.privacy, groupId, caller.did),
      needsRejoin: true,
    });
  });
  deps.onEvents();
  return deps.privacy.pseudonym('rejoin-request', [groupId], caller.did).toString('hex');
}

async function publish(
  deps: PublishDeps,
  tx: Tx,
  caller: Caller,
  upload: { groupId: Buffer; bytes: Buffer; deviceTag: Buffer | undefined },
): Promise<void> {
  const { cipherSuite } = await loadConversationFacts({ db: tx }, upload.groupId);
  const { bytes, deviceTag } = upload;
  const { outcomes } = await publishKeyPackages({ ...deps, db: tx }, caller, [
    { bytes, cipherSuite, expiresAtMs: undefined, deviceTag },
  ]);
  const [outcome] = outcomes;
  if (outcome === undefined) return;
  throw outcome.code === 'TooManyKeyPackages' ? outcome : refusalWithText('InvalidKeyPackage', outcome.message);
}
