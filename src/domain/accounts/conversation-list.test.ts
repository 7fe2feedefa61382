import { expect, test } from 'vitest';
import { limits } from '#platform/limits.ts';
import { newSecret } from '#platform/ids.ts';
import { decodeConversationList, encodeConversationList } from './conversation-list.ts';

test('decoding returns the encoded list, and its size shows only a power of two', () => {
  const groupIds = Array.from({ length: limits.conversationsPerAccountMax }, (_, index) => newSecret(1 + (index % 64)));
  const sizes = new Map<number, number>();
  for (const count of [0, 1, 2, 15, 16, 17, 32, 33, 100, 1_000, 4_000]) {
    const list = groupIds.slice(0, count);
    const bytes = encodeConversationList(list);
    expect(decodeConversationList(bytes)).toEqual(list);
    sizes.set(bytes.length, (sizes.get(bytes.length) ?? 0) + 1);
  }
  expect([...sizes.values()]).toEqual([5, 2, 1, 1, 1, 1]);
});

// `changeConversationLists` refuses a change of a full list, but concurrent changes may exceed the limit by a few
// conversations.
test('a list above the limit keeps all of its conversations', () => {
  const groupIds = Array.from({ length: limits.conversationsPerAccountMax + 3 }, () => newSecret(16));
  expect(decodeConversationList(encodeConversationList(groupIds))).toEqual(groupIds);
});
