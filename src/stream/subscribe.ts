import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { CursorCodec, EventCursor } from '#domain/events/cursor.ts';
import { compareLogPositions } from '#domain/events/event.ts';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { concerns, openEvents, readReplay } from '#domain/events/read-events.ts';
import { isEntitled } from '#domain/membership/member.ts';
import { entitlementKey, readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import type { Clock } from '#platform/clock.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { eventFrame, infoFrame } from './frames.ts';
import type { Hub, Subscriber, Subscription } from './hub.ts';
import { deliverMissedDevices } from './new-devices.ts';
import type { Tail } from './tail.ts';

export interface SubscribeDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly tail: Tail;
  readonly codec: CursorCodec;
  readonly eventTtlDays: number;
  readonly deviceWaitDays: number;
  readonly timeBucketSeconds: number;
}

/** A subscriber who can be waited for while older events are read out to them. */
export interface PacedSubscriber extends Subscriber {
  /** Resolves when more may be sent; false when the subscriber is gone. */
  ready(): Promise<boolean>;
}

const replayPageRows = 250;
const dayMs = 86_400_000;

/**
 * Replays what came after `cursor`, then goes over to live delivery without a gap or a repeat: the tail attaches the subscriber
 * at a place of the log, everything up to there is read from the database, everything behind it waits and follows.
 * @returns the subscription, or undefined when the subscriber left meanwhile.
 */
export async function subscribe(
  deps: SubscribeDeps,
  subscriber: PacedSubscriber,
  cursor: EventCursor,
): Promise<Subscription | undefined> {
  const subscription = deps.hub.announce(subscriber);
  try {
    if (await catchUp(deps, subscription, subscriber, cursor)) return subscription;
    deps.hub.remove(subscription);
    return undefined;
  } catch (error) {
    deps.hub.remove(subscription);
    throw error;
  }
}

async function catchUp(
  deps: SubscribeDeps,
  subscription: Subscription,
  subscriber: PacedSubscriber,
  cursor: EventCursor,
): Promise<boolean> {
  for (const groupId of await readConversationList({ privacy: deps.privacy, db: deps.database.db }, subscriber.did)) {
    const conversationId = groupId.toString('hex');
    const wanted = subscriber.onlyConversationId ?? conversationId;
    if (wanted === conversationId) subscription.conversationIds.add(conversationId);
  }
  if (cursor.receivedAtMs < deps.clock.nowMs() - deps.eventTtlDays * dayMs) {
    const here = deps.codec.encode(cursor);
    subscriber.deliver(
      infoFrame(here, 'Events behind the cursor have expired. Fetch what is missing with getMessages.'),
    );
  }
  let reached: LogPosition = cursor;
  subscription.readTo = cursor;
  for (let isFirst = true; ; isFirst = false) {
    const admittedAt = await deps.tail.admit(subscription);
    if (isFirst) await deliverMissedDevices(deps, subscription, subscriber, cursor);
    if (!(await replay(deps, subscription, subscriber, { after: reached, upTo: admittedAt }))) return false;
    if (!subscription.heldOverflow) {
      goLive(subscription);
      return true;
    }
    // Too much came meanwhile to hold it: read that from the log as well.
    if (compareLogPositions(admittedAt, reached) > 0) reached = admittedAt;
  }
}

function goLive(subscription: Subscription): void {
  const held = subscription.held ?? [];
  subscription.held = undefined;
  for (const frame of held) subscription.subscriber.deliver(frame);
}

async function replay(
  deps: SubscribeDeps,
  subscription: Subscription,
  subscriber: PacedSubscriber,
  range: { after: LogPosition; upTo: LogPosition },
): Promise<boolean> {
  let { after } = range;
  while (compareLogPositions(after, range.upTo) < 0) {
    const groupIds = [...subscription.conversationIds].map((conversationId) => Buffer.from(conversationId, 'hex'));
    if (groupIds.length === 0) return subscriber.ready();
    const source = { sql: deps.database.sql, eventTtlDays: deps.eventTtlDays };
    const rows = await readReplay(source, { groupIds, after, upTo: range.upTo, limit: replayPageRows });
    if (!(await deliverRows(deps, subscriber, rows))) return false;
    const last = rows.at(-1);
    if (last === undefined || rows.length < replayPageRows) return true;
    after = last;
  }
  return true;
}

/** @returns false when the subscriber is gone. */
async function deliverRows(
  deps: SubscribeDeps,
  subscriber: PacedSubscriber,
  rows: readonly EventRow[],
): Promise<boolean> {
  for (let start = 0; start < rows.length;) {
    const rest = rows.slice(start);
    const [{ events, openedRows }, entitlements] = await Promise.all([
      openEvents({ sql: deps.database.sql, privacy: deps.privacy }, rest),
      readEntitlements(
        { db: deps.database.db, privacy: deps.privacy },
        rest.map(({ groupId }) => ({ groupId, did: subscriber.did })),
      ),
    ]);
    start += openedRows;
    for (const event of events) {
      const membership = entitlements.get(entitlementKey(event.groupId, subscriber.did));
      if (membership === undefined || !isEntitled(membership, event.eventNo)) continue;
      if (!concerns(event, subscriber.did)) continue;
      subscriber.deliver(eventFrame(deps.codec, event));
      if (!(await subscriber.ready())) return false;
    }
  }
  return true;
}
