import { expect, test } from 'vitest';
import { positionBefore } from '#domain/events/event.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { entitlementKey } from '#domain/membership/members/read-entitlements.ts';
import type { Entitlements } from '#domain/membership/members/read-entitlements.ts';
import { infoFrame } from './frames.ts';
import type { Frame } from './frames.ts';
import { Hub } from './hub.ts';

const groupId = Buffer.from('aa'.repeat(16), 'hex');
const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa';
const membership = {
  member: Buffer.alloc(16),
  role: 1,
  state: 1,
  joinedSeq: 1,
  joinedEvent: 1,
  leftEvent: null,
  removalPending: false,
  needsRejoin: false,
};
const entitlements: Entitlements = new Map([[entitlementKey(groupId, did), membership]]);

function eventAt(position: number): StreamEvent {
  const receivedAt = new Date(0);
  const message = {
    id: String(position),
    groupId,
    seq: position,
    epoch: 0,
    kind: 'app',
    receivedAt,
    ciphertext: Buffer.alloc(0),
  } as const;
  return { position, groupId, eventNo: position, receivedAt, kind: 'message', message };
}

function listen(hub: Hub): { received: string[]; subscription: ReturnType<Hub['register']> } {
  const received: string[] = [];
  const subscriber = {
    did,
    onlyConversationId: undefined,
    deliver: (frame: Frame) => void received.push(frame.cursor),
  };
  const subscription = hub.register(subscriber, positionBefore(0));
  subscription.conversationIds.add(groupId.toString('hex'));
  hub.attach(subscription);
  subscription.buffered = undefined;
  return { received, subscription };
}

const nameOf = (event: StreamEvent): Frame => infoFrame(String(event.position), 'for a test');

test('a subscriber whose cursor is ahead of this server gets no event twice', () => {
  const hub = new Hub();
  const { received, subscription } = listen(hub);
  subscription.readTo = { position: 7, groupId, eventNo: 7 };
  const events = [eventAt(6), eventAt(7), eventAt(8)];
  hub.dispatch({ events, readFor: [{ groupId, did }], entitlements, upTo: eventAt(8) }, nameOf);
  expect(received).toEqual(['8']);
});

test('an event is encoded once for all its recipients, and not at all without recipients', () => {
  const hub = new Hub();
  const listeners = [listen(hub), listen(hub), listen(hub)];
  let encoded = 0;
  const count = (event: StreamEvent): Frame => {
    encoded += 1;
    return nameOf(event);
  };
  hub.dispatch({ events: [eventAt(1)], readFor: [{ groupId, did }], entitlements, upTo: eventAt(1) }, count);
  hub.dispatch({ events: [eventAt(2)], readFor: [{ groupId, did }], entitlements: new Map(), upTo: eventAt(2) }, count);
  expect(encoded).toBe(1);
  expect(listeners.map(({ received }) => received)).toEqual([['1'], ['1'], ['1']]);
});
