import type { LastMessage } from './store.ts';

/**
 * Returns when the last message of a conversation was received, for a reader who may fetch it.
 * @param joinedSeq the number of the first message that the reader may fetch; undefined for people who are not members.
 * @returns undefined if the message has expired, was received before the reader joined, or does not exist.
 */
export function lastMessageTime(
  { lastSeq, lastReceivedAt }: LastMessage,
  joinedSeq: number | undefined,
): Date | undefined {
  return joinedSeq !== undefined && lastSeq >= joinedSeq ? (lastReceivedAt ?? undefined) : undefined;
}
