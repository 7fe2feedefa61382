import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { loadEpoch } from '#domain/conversations/get-epoch.ts';
import { domainError } from '#domain/domain-error.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Clock } from '#platform/clock.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { checkMessage } from './send-message.ts';
import type { SentMessage } from './message.ts';
import type { MessageToSend } from './send-message.ts';

/** A message that only the present subscribers get, because it is not stored. */
export interface EphemeralMessage {
  readonly id: string;
  readonly groupId: Buffer;
  readonly epoch: number;
  readonly receivedAt: Date;
  readonly ciphertext: Buffer;
}

/**
 * Sends a message to the present subscribers of all servers without storing it. Its `seq` is 0.
 * @throws AppError ConvoNotFound, NotMember, InvalidAsset, MessageTooLarge, EpochMismatch with `currentEpoch`.
 */
export async function sendEphemeralMessage(
  deps: {
    db: Db;
    privacy: Privacy;
    clock: Clock;
    timeBucketSeconds: number;
    requireFraming: boolean;
    broadcast: (message: EphemeralMessage) => void;
  },
  caller: Caller,
  input: MessageToSend,
): Promise<SentMessage> {
  const groupId = parseConversationId(input.conversationId);
  const message = checkMessage(input, groupId, deps.requireFraming);
  if (message?.kind === 'clearProposal') throw refusalFor('InvalidAsset', 'ephemeralProposal');
  await requireMember(deps, caller, groupId);
  const currentEpoch = await loadEpoch(deps, groupId);
  if (input.epoch !== currentEpoch) throw domainError('EpochMismatch', { currentEpoch });
  const receivedAt = new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds));
  deps.broadcast({ id: input.msgId, groupId, epoch: input.epoch, receivedAt, ciphertext: input.ciphertext });
  return { seq: 0, epoch: input.epoch, receivedAt };
}
