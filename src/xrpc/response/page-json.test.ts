import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { MessageList } from '#domain/messages/list-messages.ts';
import type { Message } from '#domain/messages/message.ts';
import { encodeJson } from '#platform/encode-json.ts';
import { commitPageJson, messagePageJson } from './page-json.ts';

const groupId = randomBytes(16);
const convoId = groupId.toString('hex');
const minuteMs = 60_000;

function message(seq: number, of: Partial<Message> = {}): Message {
  const receivedAt = new Date(Math.floor(seq / 2) * minuteMs);
  return { id: `id-${seq}`, groupId, seq, epoch: 3, kind: 'app', receivedAt, ciphertext: randomBytes(seq), ...of };
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** The output with one object for each message, from which `encodeJson` makes the expected bytes. */
function outputOf({ messages, lastSeq, gap }: MessageList): unknown {
  return {
    messages: messages.map(({ id, ciphertext, epoch, seq, receivedAt, kind }) => ({
      id,
      convoId,
      ciphertext,
      epoch,
      seq,
      createdAt: receivedAt.toISOString(),
      messageType: kind,
      digest: kind === 'commit' ? sha256(ciphertext) : undefined,
    })),
    lastSeq,
    gapInfo: gap && { hasGaps: true, ...gap },
  };
}

const messages = [...Array.from({ length: 70 }, (_, index) => message(index)), message(70, { kind: 'commit' })];
const gap = { missingSeqs: [4, 5], totalMessages: 9 };

test.each<[string, MessageList]>([
  ['bodies of every padding, and a commit with its digest', { messages, lastSeq: 70, gap: undefined }],
  ['missing numbers', { messages: messages.slice(6, 8), lastSeq: 7, gap }],
  ['no messages', { messages: [], lastSeq: undefined, gap: undefined }],
  ['no messages after a number', { messages: [], lastSeq: 12, gap }],
  [
    'ids that JSON escapes, and ids beyond ASCII',
    { messages: ['"', '\\', '\n', 'é', '消息', '\u2028'].map((id) => message(1, { id })), lastSeq: 1, gap: undefined },
  ],
])('a page of messages has the bytes of encodeJson: %s', (_name, page) => {
  expect(messagePageJson(page).toString('utf8')).toBe(encodeJson(outputOf(page)));
});

test('a page of commits has the bytes of encodeJson', () => {
  const commits = [1, 2, 3].map((seq) => message(seq, { kind: 'commit', epoch: seq }));
  const expected = commits.map(({ epoch, ciphertext, receivedAt }) => ({
    epoch,
    commitData: ciphertext,
    digest: sha256(ciphertext),
    createdAt: receivedAt.toISOString(),
  }));
  for (const id of [convoId, 'AB"\\']) {
    expect(commitPageJson(id, commits).toString('utf8')).toBe(encodeJson({ convoId: id, commits: expected }));
    expect(commitPageJson(id, []).toString('utf8')).toBe(encodeJson({ convoId: id, commits: [] }));
  }
});
