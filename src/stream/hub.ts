import { compareLogPositions, positionBefore } from '#domain/events/event.ts';
import type { LogPosition } from '#domain/events/event.ts';
import { concerns } from '#domain/events/read-events.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { isEntitled } from '#domain/membership/member.ts';
import { entitlementKey } from '#domain/membership/members/read-entitlements.ts';
import type { Entitlements, Listener } from '#domain/membership/members/read-entitlements.ts';
import { limits } from '#platform/limits.ts';
import type { Frame } from './frames.ts';

/** A client with an open stream on this server. */
export interface Subscriber {
  readonly did: string;
  /** The only conversation (hex) whose events are delivered, or undefined for all conversations of the person. */
  readonly onlyConversationId: string | undefined;
  /** Sends a frame, or ends the subscription if its reader is too slow. */
  deliver(frame: Frame): void;
}

/** The state that the hub stores for one subscriber. */
export interface Subscription {
  readonly subscriber: Subscriber;
  /**
   * Conversations (hex) of the person. The set may be out of date, so the membership is read from the database for
   * every event.
   */
  readonly conversationIds: Set<string>;
  /** Frames that arrived after `attach`, while older events are replayed. Undefined when the replay is over. */
  buffered: Frame[] | undefined;
  bufferedSizeBytes: number;
  /** True if more frames arrived than the buffer may hold, so that the replay has to read them from the log. */
  bufferOverflowed: boolean;
  attached: boolean;
  /**
   * The log position up to which the subscriber has read. It may be ahead of this server's tail if the cursor came from
   * another server.
   */
  readTo: LogPosition | undefined;
}

/** A range of the log with all data that is needed to deliver its events. */
export interface Batch {
  readonly events: readonly StreamEvent[];
  /** The entitlements of all listeners and joiners of the conversations, read after the events. */
  readonly entitlements: Entitlements;
  /** The last position of the range. */
  readonly upTo: LogPosition;
}

/**
 * Stores the subscriptions on this server and delivers events to them. Events up to `position` have been dispatched.
 */
export class Hub {
  readonly #byPerson = new Map<string, Set<Subscription>>();
  readonly #byConversation = new Map<string, Set<Subscription>>();
  #position: LogPosition = positionBefore(0);
  #size = 0;

  get position(): LogPosition {
    return this.#position;
  }

  /** Number of subscriptions on this server. */
  get size(): number {
    return this.#size;
  }

  /** Adds a subscription and tracks the joins of the person from now on. Events are delivered only after `attach`. */
  register(subscriber: Subscriber): Subscription {
    const subscription = newSubscription(subscriber);
    addTo(this.#byPerson, subscriber.did, subscription);
    this.#size += 1;
    return subscription;
  }

  /** Starts delivery of all events after `position` to the subscription. The tail calls this between two batches. */
  attach(subscription: Subscription): void {
    subscription.attached = true;
    subscription.buffered = [];
    subscription.bufferedSizeBytes = 0;
    subscription.bufferOverflowed = false;
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

  hasListeners(groupId: Buffer): boolean {
    return this.#byConversation.has(groupId.toString('hex'));
  }

  hasPerson(did: string): boolean {
    return this.#byPerson.has(did);
  }

  /** Returns the DIDs of all people with a subscription on this server. */
  people(): Iterable<string> {
    return this.#byPerson.keys();
  }

  /** Returns the attached subscriptions of a person as a copy, because a delivery may end one of them. */
  attachedOf(did: string): Subscription[] {
    return [...(this.#byPerson.get(did) ?? [])].filter(({ attached }) => attached);
  }

  /** Delivers a frame that is not in the log to one subscription. */
  send(subscription: Subscription, frame: Frame): void {
    deliver(subscription, frame);
  }

  /** Returns each conversation with each person who listens to it, without duplicates. */
  listenersOf(groupIds: readonly Buffer[]): Listener[] {
    return groupIds.flatMap((groupId) => {
      const dids = new Set(this.#attachedTo(groupId).map(({ subscriber }) => subscriber.did));
      return [...dids].map((did) => ({ groupId, did }));
    });
  }

  /** Delivers a batch to the entitled subscribers, in log order, and advances `position`. */
  dispatch(batch: Batch, frameOf: (event: StreamEvent) => Frame): void {
    // Joiners are added before any delivery, because they are entitled to the commit and to other joins that precede
    // their join.
    for (const event of batch.events) this.#addIfJoined(event);
    for (const event of batch.events) {
      this.#addIfJoined(event);
      this.#deliverEvent(event, batch.entitlements, frameOf);
      this.#removeIfLeft(event);
    }
    if (compareLogPositions(batch.upTo, this.#position) > 0) this.#position = batch.upTo;
  }

  /** Delivers a frame that is not in the log to the listeners of a conversation for whom `isRecipient` returns true. */
  deliverNow(groupId: Buffer, frame: Frame, isRecipient: (did: string) => boolean): void {
    for (const subscription of this.#attachedTo(groupId)) {
      if (isRecipient(subscription.subscriber.did)) deliver(subscription, frame);
    }
  }

  /** Returns the attached subscriptions of a conversation as a copy, because a delivery may end one of them. */
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

  #addIfJoined(event: StreamEvent): void {
    if (event.kind !== 'membership' || event.action !== 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of this.#byPerson.get(event.did) ?? []) {
      const { onlyConversationId } = subscription.subscriber;
      if (onlyConversationId !== undefined && onlyConversationId !== conversationId) continue;
      subscription.conversationIds.add(conversationId);
      if (subscription.attached) addTo(this.#byConversation, conversationId, subscription);
    }
  }

  #removeIfLeft(event: StreamEvent): void {
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
    buffered: undefined,
    bufferedSizeBytes: 0,
    bufferOverflowed: false,
    attached: false,
    readTo: undefined,
  };
}

function deliver(subscription: Subscription, frame: Frame): void {
  if (subscription.buffered === undefined) return subscription.subscriber.deliver(frame);
  subscription.bufferedSizeBytes += frame.sizeBytes;
  const isFull = subscription.buffered.length >= limits.bufferedFramesMax;
  if (isFull || subscription.bufferedSizeBytes > limits.bufferedSizeBytesMax) {
    subscription.bufferOverflowed = true;
    subscription.buffered = [];
    return;
  }
  subscription.buffered.push(frame);
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
