import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import type { ConversationFacts, Line } from './line.ts';

type StoredEvent = Exclude<ConversationEvent, { kind: 'typing' }>;

/** What an event adds to the history of its conversation. */
export function linesOf(
  event: StoredEvent,
  { did, facts }: { readonly did: string; readonly facts: ConversationFacts | undefined },
): { readonly lines: readonly Line[]; readonly facts: Partial<ConversationFacts> } {
  switch (event.kind) {
    case 'message': {
      const { seq, messageId, senderDid, receivedAt } = event;
      const text = new TextDecoder().decode(event.content);
      const unreadCount = (facts?.unreadCount ?? 0) + (senderDid === did ? 0 : 1);
      return { lines: [{ kind: 'message', seq, messageId, senderDid, text, receivedAt }], facts: { unreadCount } };
    }
    case 'joined':
      // The epoch event that follows has the members.
      return { lines: [], facts: { isMember: true, members: [], refusedEpoch: undefined } };
    case 'epoch':
      return { lines: linesOfEpoch(event, facts), facts: { members: event.members, epoch: event.epoch } };
    case 'removed':
      return { lines: [{ kind: 'ended' }], facts: { isMember: false } };
    case 'unreadable':
      return { lines: [{ kind: 'unreadable', seq: event.seq }], facts: {} };
    case 'commit-refused': {
      const { committerDid, epoch } = event;
      // The event comes again at each start of the device.
      if (facts?.refusedEpoch === epoch) return { lines: [], facts: {} };
      return { lines: [{ kind: 'commit-refused', committerDid }], facts: { refusedEpoch: epoch } };
    }
    default:
      return { lines: [], facts: {} };
  }
}

/** Compares the members of the new epoch with those of the last one. */
function linesOfEpoch(
  { epoch, members }: Extract<ConversationEvent, { kind: 'epoch' }>,
  facts: ConversationFacts | undefined,
): readonly Line[] {
  const earlier = facts?.members ?? [];
  if (earlier.length === 0) return [{ kind: 'joined', epoch, members }];
  const added = members.filter((did) => !earlier.includes(did));
  const removed = earlier.filter((did) => !members.includes(did));
  if (added.length + removed.length === 0) return [{ kind: 'keys-renewed', epoch }];
  return [
    ...added.map((did): Line => ({ kind: 'added', epoch, did })),
    ...removed.map((did): Line => ({ kind: 'removed', epoch, did })),
  ];
}
