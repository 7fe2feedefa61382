import { compareLogPositions, positionBefore } from '#domain/events/event.ts';
import type { LogPosition } from '#domain/events/event.ts';
import { concerns } from '#domain/events/read-events.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { isEntitled } from '#domain/membership/member.ts';
import { entitlementKey } from '#domain/membership/members/read-entitlements.ts';
import type { Entitlements, Listener } from '#domain/membership/members/read-entitlements.ts';
import { limits } from '#platform/limits.ts';
import type { Frame } from './frames.ts';

/** Somebody who listens on this server. */
export interface Subscriber {
  readonly did: string;
  /** The only conversation to hear of, as hex; undefined for all. */
  readonly onlyConversationId: string | undefined;
  /** Sends a frame, or ends the subscription if its reader is too slow. */
  deliver(frame: Frame): void;
}

/** A subscriber's state in the hub. */
export interface Subscription {
  readonly subscriber: Subscriber;
  /** Conversations (hex) that the person is thought to be in; every event is checked against the database anyway. */
  readonly conversationIds: Set<string>;
  /** Frames that arrived since the admission, while the subscriber is still reading older ones. */
  held: Frame[] | undefined;
  heldSizeBytes: number;
  /** More arrived than may be held: the subscriber has to be admitted anew. */
  heldOverflow: boolean;
  attached: boolean;
  /** Where the subscriber has read to already: a cursor of another server may be ahead of this one's tail. */
  readTo: LogPosition | undefined;
}

/** A piece of the log with what is needed to hand it out. */
export interface Batch {
  readonly events: readonly StreamEvent[];
  /** Read after the events, for everyone who listens to their conversations or joins one of them. */
  readonly entitlements: Entitlements;
  /** The end of the piece. */
  readonly upTo: LogPosition;
}

/** Who listens to what on this server, and where in the log they are: everything up to `place` has been dispatched. */
export class Hub {
  readonly #byPerson = new Map<string, Set<Subscription>>();
  readonly #byConversation = new Map<string, Set<Subscription>>();
  #place: LogPosition = positionBefore(0);
  #size = 0;

  get place(): LogPosition {
    return this.#place;
  }

  /** Subscriptions on this server. */
  get size(): number {
    return this.#size;
  }

  /** From now on, joins of this person are noted; events reach them only after `attach`. */
  announce(subscriber: Subscriber): Subscription {
    const subscription = newSubscription(subscriber);
    addTo(this.#byPerson, subscriber.did, subscription);
    this.#size += 1;
    return subscription;
  }

  /** Sends the conversations of `subscription` to it from `place` on. Called by the tail, between two batches. */
  attach(subscription: Subscription): void {
    subscription.attached = true;
    subscription.held = [];
    subscription.heldSizeBytes = 0;
    subscription.heldOverflow = false;
    for (const conversationId of subscription.conversationIds)
      addTo(this.#byConversation, conversationId, subscription);
  }

  remove(subscription: Subscription): void {
    if (!removeFrom(this.#byPerson, subscription.subscriber.did, subscription)) return;
    this.#size -= 1;
    for (const conversationId of subscription.conversationIds) {
      removeFrom(this.#byConversation, conversationId, subscription);
    }
  }

  listensTo(groupId: Buffer): boolean {
    return this.#byConversation.has(groupId.toString('hex'));
  }

  hasPerson(did: string): boolean {
    return this.#byPerson.has(did);
  }

  /** Everyone with a subscription here. */
  people(): Iterable<string> {
    return this.#byPerson.keys();
  }

  /** Those subscriptions of a person that hear what is new; a copy, because a delivery may end one. */
  attachedOf(did: string): Subscription[] {
    return [...(this.#byPerson.get(did) ?? [])].filter(({ attached }) => attached);
  }

  /** Sends one subscription something that is not in the log. */
  send(subscription: Subscription, frame: Frame): void {
    deliver(subscription, frame);
  }

  /** Everyone who listens to one of these conversations, once each. */
  listenersOf(groupIds: readonly Buffer[]): Listener[] {
    return groupIds.flatMap((groupId) => {
      const dids = new Set(this.#attachedTo(groupId).map(({ subscriber }) => subscriber.did));
      return [...dids].map((did) => ({ groupId, did }));
    });
  }

  /** Delivers a batch to those entitled, in log order, and moves `place`. */
  dispatch(batch: Batch, frameOf: (event: StreamEvent) => Frame): void {
    // A joiner is entitled to the commit and the joins in front of their own, so they listen before any of it goes out.
    for (const event of batch.events) this.#listenIfJoined(event);
    for (const event of batch.events) {
      this.#listenIfJoined(event);
      this.#deliverEvent(event, batch.entitlements, frameOf);
      this.#unlistenIfGone(event);
    }
    if (compareLogPositions(batch.upTo, this.#place) > 0) this.#place = batch.upTo;
  }

  /** Delivers something that is not in the log to the attached listeners for whom `mayHear` holds. */
  deliverNow(groupId: Buffer, frame: Frame, mayHear: (did: string) => boolean): void {
    for (const subscription of this.#attachedTo(groupId)) {
      if (mayHear(subscription.subscriber.did)) deliver(subscription, frame);
    }
  }

  /** A copy, because a delivery may end a subscription. */
  #attachedTo(groupId: Buffer): Subscription[] {
    return [...(this.#byConversation.get(groupId.toString('hex')) ?? [])];
  }

  #deliverEvent(event: StreamEvent, entitlements: Entitlements, frameOf: (event: StreamEvent) => Frame): void {
    let frame: Frame | undefined;
    for (const subscription of this.#attachedTo(event.groupId)) {
      if (!mayReceive(subscription, event, entitlements)) continue;
      frame ??= frameOf(event);
      deliver(subscription, frame);
    }
  }

  #listenIfJoined(event: StreamEvent): void {
    if (event.kind !== 'membership' || event.action !== 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of this.#byPerson.get(event.did) ?? []) {
      const { onlyConversationId } = subscription.subscriber;
      if (onlyConversationId !== undefined && onlyConversationId !== conversationId) continue;
      subscription.conversationIds.add(conversationId);
      if (subscription.attached) addTo(this.#byConversation, conversationId, subscription);
    }
  }

  #unlistenIfGone(event: StreamEvent): void {
    if (event.kind !== 'membership' || event.action === 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of this.#byPerson.get(event.did) ?? []) {
      subscription.conversationIds.delete(conversationId);
      removeFrom(this.#byConversation, conversationId, subscription);
    }
  }
}

function mayReceive(subscription: Subscription, event: StreamEvent, entitlements: Entitlements): boolean {
  if (subscription.readTo !== undefined && compareLogPositions(event, subscription.readTo) <= 0) return false;
  if (!concerns(event, subscription.subscriber.did)) return false;
  const membership = entitlements.get(entitlementKey(event.groupId, subscription.subscriber.did));
  return membership !== undefined && isEntitled(membership, event.eventNo);
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

function deliver(subscription: Subscription, frame: Frame): void {
  if (subscription.held === undefined) return subscription.subscriber.deliver(frame);
  subscription.heldSizeBytes += frame.sizeBytes;
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
