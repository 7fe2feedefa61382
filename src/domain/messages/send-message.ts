import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { memberPseudonym } from '#domain/membership/members/member-pseudonym.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { handshakesInForce } from '#domain/policies/handshakes.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import { refusalByReader, refusalFor } from '#domain/refusal-reasons.ts';
import { readGroupMessage } from '#mls/messages/framing.ts';
import type { GroupMessage } from '#mls/messages/framing.ts';
import { MlsFormatError } from '#mls/encoding/mls-format-error.ts';
import type { MlsMessageHeader } from '#mls/messages/mls-message.ts';
import { isMessageSizeBucket, readPaddedMessage } from '#mls/encoding/padding-envelope.ts';
import { required } from '#platform/errors.ts';
import type { AppError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import { isMessageId } from './message.ts';
import type { SentMessage } from './message.ts';
import type { MessageAppender } from './message-appender.ts';
import { sendProposal } from './send-proposal.ts';
import type { ProposalDeps } from './send-proposal.ts';
import type { AppendResult } from './store-messages.ts';
import type { TokenUse } from '#domain/token-use.ts';

export interface MessageToSend {
  readonly conversationId: string;
  readonly msgId: string;
  readonly epoch: number;
  readonly paddedSize: number;
  readonly ciphertext: Buffer;
  /** The use of the sender's token, if it is recorded together with the message. */
  readonly tokenUse?: TokenUse | undefined;
}

/**
 * Stores a message with the conversation's next `seq`, or returns the first result for a msgId that is already stored.
 * @throws AppError ConvoNotFound, NotMember, InvalidAsset, MessageTooLarge, EpochMismatch with `currentEpoch`,
 *   PolicyViolation.
 */
export async function sendMessage(
  deps: ProposalDeps & { appender: MessageAppender; requireFraming: boolean },
  caller: Caller,
  input: MessageToSend,
): Promise<SentMessage> {
  const groupId = parseConversationId(input.conversationId);
  const message = checkMessage(input, groupId, deps.requireFraming);
  if (message?.kind === 'clearProposal') {
    const { msgId, ciphertext: padded } = input;
    await input.tokenUse?.record();
    return sendProposal(deps, caller, { groupId, msgId, padded, proposal: message.proposal });
  }
  if (message?.header.contentType === 'proposal') await refuseEncryptedProposal(deps, caller, groupId);
  const { epoch, msgId, ciphertext: body, tokenUse } = input;
  const toAppend = { groupId, member: memberPseudonym(deps.privacy, groupId, caller.did), epoch, msgId, body };
  let result: AppendResult | undefined;
  if (tokenUse !== undefined) {
    // The use of the token is recorded in the transaction that stores the message.
    try {
      const stored = await deps.appender.appendWithToken(toAppend, tokenUse.mark);
      tokenUse.conclude(stored.token);
      result = stored.result;
    } catch (error) {
      tokenUse.abandon();
      throw error;
    }
    if (result === undefined) await tokenUse.record();
  }
  return sentMessageOf(result ?? (await deps.appender.append(toAppend)));
}

/** @throws AppError ConvoNotFound, NotMember, EpochMismatch. */
function sentMessageOf(result: AppendResult): SentMessage {
  switch (result.outcome) {
    case 'nonMember':
      throw domainError('ConvoNotFound');
    case 'inactiveMember':
      throw domainError('NotMember');
    case 'stale':
      throw domainError('EpochMismatch', { currentEpoch: required(result.epoch, 'the current epoch') });
    case 'stored':
    case 'duplicate':
      return { seq: result.seq, epoch: result.epoch, receivedAt: result.receivedAt };
  }
}

/**
 * Checks a message's size and its MLS framing, which is unencrypted in every MLS message.
 * @returns undefined when `requireFraming` is false.
 * @throws AppError MessageTooLarge, InvalidAsset.
 */
export function checkMessage(input: MessageToSend, groupId: Buffer, requireFraming: boolean): GroupMessage | undefined {
  if (input.ciphertext.length > limits.messageSizeBytesMax) throw domainError('MessageTooLarge');
  if (!isMessageId(input.msgId)) throw refusalFor('InvalidAsset', 'msgIdForm');
  if (!isMessageSizeBucket(input.paddedSize)) throw refusalFor('InvalidAsset', 'noBucket');
  if (input.ciphertext.length !== input.paddedSize) throw refusalFor('InvalidAsset', 'notPaddedSize');
  if (!requireFraming) return undefined;
  try {
    return readGroupMessage(input.ciphertext, { groupId, epoch: input.epoch });
  } catch (error) {
    if (error instanceof MlsFormatError) throw refusalForUnreadable(input.ciphertext, error);
    throw error;
  }
}

/**
 * Makes the refusal for unreadable bytes, which names the right method for a Welcome, GroupInfo or KeyPackage and
 * otherwise has the text of the MLS reader.
 */
function refusalForUnreadable(ciphertext: Buffer, error: MlsFormatError): AppError {
  switch (wireFormatOf(ciphertext)) {
    case 'welcome':
      return refusalFor('InvalidAsset', 'isWelcome');
    case 'groupInfo':
      return refusalFor('InvalidAsset', 'isGroupInfo');
    case 'keyPackage':
      return refusalFor('InvalidAsset', 'isKeyPackage');
    case 'publicMessage':
    case 'privateMessage':
    case undefined:
      return refusalByReader('InvalidAsset', error);
  }
}

function wireFormatOf(padded: Buffer): MlsMessageHeader['wireFormat'] | undefined {
  try {
    return readPaddedMessage(padded).header.wireFormat;
  } catch (error) {
    if (error instanceof MlsFormatError) return undefined;
    throw error;
  }
}

/**
 * Refuses an encrypted proposal when plaintext handshakes are required. The policy is read without a lock, because a
 * proposal changes nothing until it is committed.
 */
async function refuseEncryptedProposal(deps: ProposalDeps, caller: Caller, groupId: Buffer): Promise<void> {
  await requireMember(deps, caller, groupId);
  if (handshakesInForce(deps.handshakes, await loadPolicy(deps.db, groupId)) === 'plaintext') {
    throw refusalFor('PolicyViolation', 'handshakesPlaintext');
  }
}
