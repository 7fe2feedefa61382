import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { memberPseudonym } from '#domain/membership/require-member.ts';
import { refusalByReader, refusalFor } from '#domain/refusal-reasons.ts';
import { checkApplicationFraming } from '#mls/framing.ts';
import { MlsFormatError } from '#mls/mls-format-error.ts';
import type { MlsMessageHeader } from '#mls/mls-message.ts';
import { isMessageSizeBucket, readPaddedMessage } from '#mls/padding-envelope.ts';
import { required } from '#platform/errors.ts';
import type { AppError } from '#platform/errors.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import { isMessageId } from './message.ts';
import type { MessageAppender } from './message-appender.ts';

export interface MessageToSend {
  readonly conversationId: string;
  readonly msgId: string;
  readonly epoch: number;
  readonly paddedSize: number;
  readonly ciphertext: Buffer;
}

export interface SentMessage {
  readonly seq: number;
  readonly epoch: number;
  /** Rounded down to the time bucket. */
  readonly receivedAt: Date;
}

/**
 * Stores a message with the conversation's next `seq`. A msgId that is stored already returns the first answer.
 * @throws AppError ConvoNotFound, NotMember, InvalidAsset, MessageTooLarge, EpochMismatch with `currentEpoch`.
 */
export async function sendMessage(
  deps: { appender: MessageAppender; privacy: Privacy; requireFraming: boolean },
  caller: Caller,
  input: MessageToSend,
): Promise<SentMessage> {
  const groupId = parseConversationId(input.conversationId);
  checkMessage(input, groupId, deps.requireFraming);
  const result = await deps.appender.append({
    groupId,
    member: memberPseudonym(deps.privacy, groupId, caller.did),
    epoch: input.epoch,
    msgId: input.msgId,
    body: input.ciphertext,
  });
  switch (result.outcome) {
    case 'stranger':
      throw domainError('ConvoNotFound');
    case 'former':
      throw domainError('NotMember');
    case 'stale':
      throw domainError('EpochMismatch', { currentEpoch: required(result.epoch, 'the current epoch') });
    case 'stored':
    case 'duplicate':
      return { seq: result.seq, epoch: result.epoch, receivedAt: result.receivedAt };
  }
}

/**
 * The size and framing gate; what it reads is in clear in every MLS message.
 * @throws AppError MessageTooLarge, InvalidAsset.
 */
export function checkMessage(input: MessageToSend, groupId: Buffer, requireFraming: boolean): void {
  if (input.ciphertext.length > limits.messageSizeBytesMax) throw domainError('MessageTooLarge');
  if (!isMessageId(input.msgId)) throw refusalFor('InvalidAsset', 'msgIdForm');
  if (!isMessageSizeBucket(input.paddedSize)) throw refusalFor('InvalidAsset', 'noBucket');
  if (input.ciphertext.length !== input.paddedSize) throw refusalFor('InvalidAsset', 'notPaddedSize');
  if (!requireFraming) return;
  try {
    checkApplicationFraming(input.ciphertext, { groupId, epoch: input.epoch });
  } catch (error) {
    if (error instanceof MlsFormatError) throw refusalOfCiphertext(input.ciphertext, error);
    throw error;
  }
}

/** Something else of MLS than a message belongs to another method; anything else is refused with the reader's words. */
function refusalOfCiphertext(ciphertext: Buffer, error: MlsFormatError): AppError {
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
