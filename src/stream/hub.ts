import { compareLogPositions, positionBefore } from '#domain/events/event.ts';
import type { LogPosition } from '#domain/events/event.ts';
import { concerns } from '#domain/events/read-events.ts';
import type { StreamEvent } from '#domain/events/read-events.ts';
import { isEntitled } from '#domain/membership/member.ts';
import { entitlementKey } from '#domain/membership/members/read-entitlements.ts';
import type { Entitlement, Entitlements, Listener } from '#domain/membership/members/read-entitlements.ts';
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
   * Conversations (hex) of the person. The set may be out of date, so the person's entitlement is checked for every
   * event.
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
  /** The people whose entitlements were read after the events: the listeners without one, and everyone who joins. */
  readonly readFor: readonly Listener[];
  readonly entitlements: Entitlements;
  /** The last position of the range. */
  readonly upTo: LogPosition;
}

/** The listeners of a conversation, each with its entitlement, which is undefined until it is read. */
type Listeners = Map<Subscription, Entitlement | undefined>;

/** The entitlement of a person who was never a member. */
const noEntitlement: Entitlement = { joinedEvent: Infinity, leftEvent: null };

/**
 * Stores the subscriptions on this server and delivers events to them. Events up to `position` have been dispatched.
 *
 * The hub keeps the entitlement of each listener. A departure in the log ends the listening, and with it the
 * entitlement, and a join in the log sets an entitlement that was read after it. This has the same effect as a check
 * against the database for every event, because:
 *
 * - Only a join and a departure change an entitlement, and each writes its event in the same transaction
 *   (`recordChange`). No other code writes these columns while a server runs.
 * - An entitlement is read after the events of its batch. So it has every change whose event is in this batch or an
 *   earlier one, and the event of every other change is in a later batch.
 * - Events of a conversation are dispatched in the order of their numbers. So an entitlement is the right one for all
 *   events up to the next change of the person's membership.
 */
export class Hub {
  readonly #byPerson = new Map<string, Set<Subscription>>();
  readonly #byConversation = new Map<string, Listeners>();
  #position: LogPosition = positionBefore(0);
  #size = 0;

  get position(): LogPosition {
    return this.#position;
  }

  /** Number of subscriptions on this server. The tail follows the log only while there is one. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds a subscription and tracks the joins of the person from `logEnd` on, or from an earlier position. Events are
   * delivered only after `attach`.
   * @param logEnd an end of the log that was read before. The first subscription moves the hub there.
   */
  register(subscriber: Subscriber, logEnd: LogPosition): Subscription {
    if (this.#size === 0) this.#moveTo(logEnd);
    this.#size += 1;
    const subscription = newSubscription(subscriber);
    const ofPerson = this.#byPerson.get(subscriber.did);
    if (ofPerson === undefined) this.#byPerson.set(subscriber.did, new Set([subscription]));
    else ofPerson.add(subscription);
    return subscription;
  }

  /** Starts delivery of all events after `position` to the subscription. The tail calls this between two batches. */
  attach(subscription: Subscription): void {
    if (this.#byPerson.get(subscription.subscriber.did)?.has(subscription) !== true) return;
    subscription.attached = true;
    subscription.buffered = [];
    subscription.bufferedSizeBytes = 0;
    subscription.bufferOverflowed = false;
    for (const conversationId of subscription.conversationIds) this.#addListener(conversationId, subscription);
  }

  remove(subscription: Subscription): void {
    const { did } = subscription.subscriber;
    const ofPerson = this.#byPerson.get(did);
    if (ofPerson?.delete(subscription) !== true) return;
    if (ofPerson.size === 0) this.#byPerson.delete(did);
    this.#size -= 1;
    for (const conversationId of subscription.conversationIds) this.#removeListener(conversationId, subscription);
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
      const subscriptions = this.#byConversation.get(groupId.toString('hex'))?.keys() ?? [];
      return peopleOf(groupId, subscriptions);
    });
  }

  /** Returns each conversation with each of its listeners whose entitlement must be read, without duplicates. */
  listenersWithoutEntitlement(groupIds: readonly Buffer[]): Listener[] {
    return groupIds.flatMap((groupId) => {
      const unread: Subscription[] = [];
      const listeners = this.#byConversation.get(groupId.toString('hex')) ?? [];
      for (const [subscription, entitlement] of listeners) if (entitlement === undefined) unread.push(subscription);
      return unread.length === 0 ? [] : peopleOf(groupId, unread);
    });
  }

  /** Delivers a batch to the entitled subscribers, in log order, and advances `position`. */
  dispatch(batch: Batch, frameOf: (event: StreamEvent) => Frame): void {
    for (const listener of batch.readFor) this.#keepEntitlement(listener, batch.entitlements);
    // Joiners are added before any delivery, because they are entitled to the commit and to other joins that precede
    // their join.
    for (const event of batch.events) this.#addIfJoined(event, batch.entitlements);
    for (const event of batch.events) {
      this.#addIfJoined(event, batch.entitlements);
      this.#deliverEvent(event, frameOf);
      this.#removeIfLeft(event);
    }
    this.#moveTo(batch.upTo);
  }

  /** Delivers a frame that is not in the log to the listeners of a conversation for whom `isRecipient` returns true. */
  deliverNow(groupId: Buffer, frame: Frame, isRecipient: (did: string) => boolean): void {
    // A delivery may end a subscription. A map that loses an entry while it is iterated visits all others once.
    for (const subscription of this.#byConversation.get(groupId.toString('hex'))?.keys() ?? []) {
      if (isRecipient(subscription.subscriber.did)) deliver(subscription, frame);
    }
  }

  #moveTo(position: LogPosition): void {
    if (compareLogPositions(position, this.#position) > 0) this.#position = position;
  }

  #deliverEvent(event: StreamEvent, frameOf: (event: StreamEvent) => Frame): void {
    let frame: Frame | undefined;
    for (const [subscription, entitlement] of this.#byConversation.get(event.groupId.toString('hex')) ?? []) {
      if (!mayReceive(subscription, event, entitlement)) continue;
      frame ??= frameOf(event);
      deliver(subscription, frame);
    }
  }

  #keepEntitlement({ groupId, did }: Listener, entitlements: Entitlements): void {
    const listeners = this.#byConversation.get(groupId.toString('hex'));
    const entitlement = entitlements.get(entitlementKey(groupId, did)) ?? noEntitlement;
    for (const subscription of this.#byPerson.get(did) ?? []) {
      if (listeners?.has(subscription) === true) listeners.set(subscription, entitlement);
    }
  }

  #addIfJoined(event: StreamEvent, entitlements: Entitlements): void {
    if (event.kind !== 'membership' || event.action !== 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of this.#byPerson.get(event.did) ?? []) {
      const { onlyConversationId } = subscription.subscriber;
      if (onlyConversationId !== undefined && onlyConversationId !== conversationId) continue;
      subscription.conversationIds.add(conversationId);
      if (!subscription.attached) continue;
      this.#addListener(conversationId, subscription, entitlements.get(entitlementKey(event.groupId, event.did)));
    }
  }

  #removeIfLeft(event: StreamEvent): void {
    if (event.kind !== 'membership' || event.action === 'joined') return;
    const conversationId = event.groupId.toString('hex');
    for (const subscription of this.#byPerson.get(event.did) ?? []) {
      subscription.conversationIds.delete(conversationId);
      this.#removeListener(conversationId, subscription);
    }
  }

  #addListener(conversationId: string, subscription: Subscription, entitlement?: Entitlement): void {
    const listeners = this.#byConversation.get(conversationId);
    if (listeners === undefined) this.#byConversation.set(conversationId, new Map([[subscription, entitlement]]));
    else if (!listeners.has(subscription)) listeners.set(subscription, entitlement);
  }

  #removeListener(conversationId: string, subscription: Subscription): void {
    const listeners = this.#byConversation.get(conversationId);
    listeners?.delete(subscription);
    if (listeners?.size === 0) this.#byConversation.delete(conversationId);
  }
}

function peopleOf(groupId: Buffer, subscriptions: Iterable<Subscription>): Listener[] {
  const dids = new Set<string>();
  for (const { subscriber } of subscriptions) dids.add(subscriber.did);
  return [...dids].map((did) => ({ groupId, did }));
}

/** Returns whether the subscription gets the event. Without an entitlement it gets nothing. */
function mayReceive(subscription: Subscription, event: StreamEvent, entitlement: Entitlement | undefined): boolean {
  const { readTo, subscriber } = subscription;
  if (readTo !== undefined && compareLogPositions(event, readTo) <= 0) return false;
  return entitlement !== undefined && isEntitled(entitlement, event.eventNo) && concerns(event, subscriber.did);
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
