import { expect, test } from 'vitest';
import { linesOf } from '../../packages/chat/src/person/lines-of-event.ts';

const event = {
  kind: 'commit-refused',
  convoId: '04',
  epoch: 3,
  committerDid: 'did:plc:mallory',
  reason: 'removes-member',
} as const;
const facts = { members: [], epoch: 2, isMember: true, unreadCount: 0 };

test('a refused commit is one line of the history, although the event comes again at each start', () => {
  const first = linesOf(event, { did: 'did:plc:alice', facts });
  expect(first).toEqual({
    lines: [{ kind: 'commit-refused', committerDid: 'did:plc:mallory' }],
    facts: { refusedEpoch: 3 },
  });
  const again = linesOf(event, { did: 'did:plc:alice', facts: { ...facts, ...first.facts } });
  expect(again.lines).toEqual([]);
});

test('after the device has joined again, no commit counts as refused', () => {
  const joined = linesOf({ kind: 'joined', convoId: '04' }, { did: 'did:plc:alice', facts });
  expect(joined.facts).toMatchObject({ refusedEpoch: undefined, isMember: true });
});
