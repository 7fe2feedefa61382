import { formatConversationId } from '#domain/conversations/conversation.ts';
import { commitDigest } from '#domain/messages/commit-digest.ts';
import type { MessageList } from '#domain/messages/list-messages.ts';
import type { Message } from '#domain/messages/message.ts';
import { encodeBase64 } from '#platform/base64.ts';
import { encodeJson } from '#platform/encode-json.ts';

// A page is one text that is concatenated field by field. A page of 50 messages of 1 KiB takes 56 µs of CPU time this
// way, 124 µs with an object for each message and JSON.stringify, and 188 µs with `encodeJson`.

/**
 * Encodes a page of one conversation as the output of `getMessages`. The bytes are those of `encodeJson`.
 * @returns JSON in UTF-8.
 */
export function messagePageJson({ messages, lastSeq, gap }: MessageList): Buffer {
  const [first] = messages;
  const convoId = first === undefined ? '' : formatConversationId(first.groupId);
  const timeOf = createTimeText();
  let list = '';
  let separator = '';
  for (const { id, ciphertext, epoch, seq, receivedAt, kind } of messages) {
    const digest = kind === 'commit' ? `,"digest":${bytesJson(commitDigest(ciphertext))}` : '';
    list += `${separator}{"id":${JSON.stringify(id)},"convoId":"${convoId}","ciphertext":${bytesJson(ciphertext)},"epoch":${epoch},"seq":${seq},"createdAt":"${timeOf(receivedAt)}","messageType":"${kind}"${digest}}`;
    separator = ',';
  }
  const last = lastSeq === undefined ? '' : `,"lastSeq":${lastSeq}`;
  const gapInfo = gap === undefined ? '' : `,"gapInfo":${encodeJson({ hasGaps: true, ...gap })}`;
  return Buffer.from(`{"messages":[${list}]${last}${gapInfo}}`, 'utf8');
}

/**
 * Encodes commits as the output of `getCommits`. `convoId` is the id as the caller sent it.
 * @returns JSON in UTF-8.
 */
export function commitPageJson(convoId: string, commits: readonly Message[]): Buffer {
  const timeOf = createTimeText();
  let list = '';
  let separator = '';
  for (const { epoch, ciphertext, receivedAt } of commits) {
    const digest = bytesJson(commitDigest(ciphertext));
    list += `${separator}{"epoch":${epoch},"commitData":${bytesJson(ciphertext)},"digest":${digest},"createdAt":"${timeOf(receivedAt)}"}`;
    separator = ',';
  }
  return Buffer.from(`{"convoId":${JSON.stringify(convoId)},"commits":[${list}]}`, 'utf8');
}

function bytesJson(bytes: Buffer): string {
  return `{"$bytes":"${encodeBase64(bytes)}"}`;
}

/** Returns a function that formats times, and formats equal times in sequence once. Times of receipt are rounded. */
function createTimeText(): (time: Date) => string {
  let lastMs: number | undefined;
  let text = '';
  return (time) => {
    const ms = time.getTime();
    if (ms !== lastMs) text = time.toISOString();
    lastMs = ms;
    return text;
  };
}
