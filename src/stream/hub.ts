import { comparePlaces, placeBefore } from '#domain/events/event.ts';
import type { LogPlace } from '#domain/events/event.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { isEntitled } from '#domain/membership/member.ts';
import { entitlementKey } from '#domain/membership/read-entitlements.ts';
import type { Entitlements, Listener } from '#domain/membership/read-entitlements.ts';
import { limits } from '#platform/limits.ts';

/** Somebody who listens on this server. */
export interface Subscriber {
  readonly did: string;
  /** The only conversation to hear of, as hex; undefined for all. */
  readonly onlyConversationId: string | undefined;
  /** Sends a frame, or ends the subscription if its reader is too slow. */
  deliver(frame: Buffer): void;
}

/** A subscriber's state in the hub. */
export interface Subscription {
  readonly subscriber: Subscriber;
  /** Conversations (hex) that the person is thought to be in; every event is checked against the database anyway. */
  readonly conversationIds: Set<string>;
  /** Frames that arrived since the admission, while the subscriber is still reading older ones. */
  held: Buffer[] | undefined;
  heldSizeBytes: number;
  /** More arrived than may be held: the subscriber has to be admitted anew. */
  heldOverflow: boolean;
  attached: boolean;
  /** Where the subscriber has read to already: a cursor of another server may be ahead of this one's tail. */
  readTo: LogPlace | undefined;
}

/** Who listens to what on this server, and where in the log they are: everything up to `place` has been dispatched. */
export interface Hub {
  readonly place: LogPlace;
  readonly size: number;
  /** From now on, joins of this person are noted; events reach them only after `attach`. */
  announce(subscriber: Subscriber): Subscription;
  /** Sends the conversations of `subscription` to it from `place` on. Called by the tail, between two batches. */
  attach(subscription: Subscription): void;
  remove(subscription: Subscription): void;
  listensTo(groupId: Buffer): boolean;
  hasPerson(did: string): boolean;
  /** Subscriptions of one person on this server. */
  countOf(did: string): number;
  /** Everyone who listens to one of these conversations, once each. */
  listenersOf(groupIds: readonly Buffer[]): Listener[];
  /** Delivers a batch to those entitled, in log order, and moves `place`. */
  dispatch(batch: { events: readonly StreamEvent[]; entitlements: Entitlements; upTo: LogPlace }, encode: (event: StreamEvent) => Buffer): void;
  /** Delivers something that is not in the log to the attached listeners for whom `mayHear` holds. */
  deliverNow(groupId: Buffer, frame: Buffer, mayHear: (did: string) => boolean): void;
}

export function createHub(start: LogPlace = placeBefore(0)): Hub {
  const byPerson = new Map<string, Set<Subscription>>();
  const byConversation = new Map<string, Set<Subscription>>();
  let place = start;
  let size = 0;

  function listen(subscription: Subscription, conversationId: string): void {
    const { onlyConversationId } = subscription.subscriber;
    if (onlyConversationId !== undefined && onlyConversationId !== conversationId) return;
    subscription.conversationIds.add(conversationId);
    if (subscription.attached) addTo(byConversation, conversationId, subscription);
  }

  function unlisten(subscription: Subscription, conversationId: string): void {
    subscription.conversationIds.delete(conversationId);
    removeFrom(byConversation, conversationId, subscription);
  }

  function listenIfJoined(event: StreamEvent): void {
    if (event.kind !== 'membership' || event.action !== 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of byPerson.get(event.did) ?? []) listen(subscription, conversationId);
  }

  function deliverEvent(event: StreamEvent, entitlements: Entitlements, encode: (event: StreamEvent) => Buffer): void {
    const conversationId = event.groupId.toString('hex');
    const person = event.kind === 'membership' ? event.did : undefined;
    listenIfJoined(event);
    let frame: Buffer | undefined;
    for (const subscription of [...(byConversation.get(conversationId) ?? [])]) {
      const membership = entitlements.get(entitlementKey(event.groupId, subscription.subscriber.did));
      if (membership === undefined || !isEntitled(membership, event.eventNo)) continue;
      if (subscription.readTo !== undefined && comparePlaces(event, subscription.readTo) <= 0) continue;
      frame ??= encode(event);
      deliver(subscription, frame);
    }
    if (event.kind === 'membership' && event.action !== 'joined' && person !== undefined) {
      for (const subscription of byPerson.get(person) ?? []) unlisten(subscription, conversationId);
    }
  }

  return {
    get place() {
      return place;
    },
    get size() {
      return size;
    },
    announce(subscriber) {
      const subscription = newSubscription(subscriber);
      addTo(byPerson, subscriber.did, subscription);
      size += 1;
      return subscription;
    },
    attach(subscription) {
      subscription.attached = true;
      subscription.held = [];
      subscription.heldSizeBytes = 0;
      subscription.heldOverflow = false;
      for (const conversationId of subscription.conversationIds) addTo(byConversation, conversationId, subscription);
    },
    remove(subscription) {
      if (!removeFrom(byPerson, subscription.subscriber.did, subscription)) return;
      size -= 1;
      for (const conversationId of subscription.conversationIds) removeFrom(byConversation, conversationId, subscription);
    },
    listensTo: (groupId) => byConversation.has(groupId.toString('hex')),
    hasPerson: (did) => byPerson.has(did),
    countOf: (did) => byPerson.get(did)?.size ?? 0,
    listenersOf: (groupIds) =>
      groupIds.flatMap((groupId) => {
        const dids = new Set([...(byConversation.get(groupId.toString('hex')) ?? [])].map(({ subscriber }) => subscriber.did));
        return [...dids].map((did) => ({ groupId, did }));
      }),
    dispatch(batch, encode) {
      // A joiner is entitled to the commit and the joins in front of their own, so they listen before any of it goes out.
      for (const event of batch.events) listenIfJoined(event);
      for (const event of batch.events) deliverEvent(event, batch.entitlements, encode);
      if (comparePlaces(batch.upTo, place) > 0) place = batch.upTo;
    },
    deliverNow(groupId, frame, mayHear) {
      for (const subscription of [...(byConversation.get(groupId.toString('hex')) ?? [])]) {
        if (mayHear(subscription.subscriber.did)) deliver(subscription, frame);
      }
    },
  };
}

function newSubscription(subscriber: Subscriber): Subscription {
  return {
    subscriber,
    conversationIds: new Set(),
    held: undefined,
    heldSizeBytes: 0,
    heldOverflow: false,
    attached: false,
    readTo: undefined,
  };
}

function deliver(subscription: Subscription, frame: Buffer): void {
  if (subscription.held === undefined) return subscription.subscriber.deliver(frame);
  subscription.heldSizeBytes += frame.length;
  if (subscription.held.length >= limits.heldFramesMax || subscription.heldSizeBytes > limits.heldSizeBytesMax) {
    subscription.heldOverflow = true;
    subscription.held = [];
    return;
  }
  subscription.held.push(frame);
}

function addTo(map: Map<string, Set<Subscription>>, key: string, subscription: Subscription): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([subscription]));
  else set.add(subscription);
}

function removeFrom(map: Map<string, Set<Subscription>>, key: string, subscription: Subscription): boolean {
  const set = map.get(key);
  const removed = set?.delete(subscription) ?? false;
  if (set?.size === 0) map.delete(key);
  return removed;
}
