import { ApiError, isApiError } from '../api/api-error.ts';
import { pad } from './padding.ts';
import type { MessageTarget } from './message-target.ts';
import type { GroupRecord, OutgoingMessage } from './records.ts';

/** What sending a message needs of its conversation. */
export interface OutgoingTarget extends MessageTarget {
  /** Processes the messages of the log that this device has not processed. */
  processNew(): Promise<void>;
}

const attemptsMax = 30;
/** Errors of sendMessage that the same message would get again. */
const refusals: ReadonlySet<string> = new Set(['InvalidAsset', 'InvalidRequest', 'MessageTooLarge', 'PolicyViolation']);
const isRefusal = (error: unknown): error is ApiError => error instanceof ApiError && refusals.has(error.error);

/**
 * Encrypts a message in the present epoch and stores it, with the next state of the group in the same write. A stored message with the same
 * id is replaced.
 * @throws MessageTooLargeError, NotInGroupError.
 */
export async function encryptOutgoing(
  target: OutgoingTarget,
  { messageId, content }: Pick<OutgoingMessage, 'messageId' | 'content'>,
): Promise<OutgoingMessage> {
  const { engine } = target.context;
  const record = target.record();
  const { epoch } = engine.describe(record.state);
  const { message, nextState } = await engine.encrypt(record.state, content);
  const encrypted = { messageId, content, epoch, ciphertext: pad(message) };
  const isKnown = record.outgoing.some((each) => each.messageId === messageId);
  const outgoing = isKnown
    ? record.outgoing.map((each) => (each.messageId === messageId ? encrypted : each))
    : [...record.outgoing, encrypted];
  await target.store({ ...record, state: nextState, outgoing });
  return encrypted;
}

/**
 * Sends a stored message; if the epoch is over, encrypts it again in the present one. A message that the service refuses is deleted.
 * @throws ApiError, NoResponseError; after the last the message stays to be sent.
 */
export async function transmit(target: OutgoingTarget, stored: OutgoingMessage): Promise<void> {
  const { context, convoId } = target;
  const { messageId: msgId } = stored;
  let outgoing = stored;
  for (let attempt = 1; ; attempt += 1) {
    const { ciphertext, epoch } = outgoing;
    const request = { convoId, msgId, ciphertext, epoch, paddedSize: ciphertext.length };
    try {
      await context.api.call('sendMessage', request, { signal: target.signal() });
      return;
    } catch (error) {
      if (isRefusal(error)) await target.store(without(target.record(), msgId));
      if (!isApiError(error, 'EpochMismatch') || attempt >= attemptsMax) throw error;
      await target.processNew();
      // It may have been stored by an attempt whose response was lost.
      if (!target.record().outgoing.some(({ messageId }) => messageId === msgId)) return;
      outgoing = await encryptOutgoing(target, outgoing);
    }
  }
}

/** Sends a message for which no caller waits; the app learns by an event that the service has refused it. */
export async function transmitLater(target: OutgoingTarget, stored: OutgoingMessage): Promise<void> {
  const { context, convoId } = target;
  try {
    await transmit(target, stored);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await context.emit({ kind: 'refused', convoId, messageId: stored.messageId, error: error.error });
  }
}

function without(record: GroupRecord, refusedId: string): GroupRecord {
  return { ...record, outgoing: record.outgoing.filter(({ messageId }) => messageId !== refusedId) };
}
