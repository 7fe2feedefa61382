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
import { eventFrame, startFrame } from './frames.ts';
import type { Hub, Subscriber, Subscription } from './hub.ts';
import { deliverMissedDevices } from './new-devices.ts';
import type { Tail } from './tail/tail.ts';

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

/** Where a subscription starts. */
export interface StreamStart {
  /** The client has every event up to this cursor. */
  readonly cursor: EventCursor;
  /** The end of the log, read before the subscription is registered. */
  readonly logEnd: LogPosition;
}

/** A subscriber that limits the pace of the replay. */
export interface PacedSubscriber extends Subscriber {
  /** Returns whether more may be sent now. */
  isReady(): boolean;
  /** Resolves to true when more may be sent, and to false when the connection has closed. */
  ready(): Promise<boolean>;
}

const replayPageRows = 1_000;
/** Number of events after which a replay lets others run. */
const eventsPerTurn = 100;
const dayMs = 86_400_000;

/**
 * Replays the events after the cursor, and then delivers live events without a gap or a repeat. The tail attaches the
 * subscriber at a log position. Events up to this position are read from the database, and later events are buffered
 * and delivered after the replay.
 * @returns the subscription, or undefined if the connection closed during the replay.
 */
export async function subscribe(
  deps: SubscribeDeps,
  subscriber: PacedSubscriber,
  { cursor, logEnd }: StreamStart,
): Promise<Subscription | undefined> {
  const subscription = deps.hub.register(subscriber, logEnd);
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
  let reached: LogPosition = cursor;
  subscription.readTo = cursor;
  for (let isFirst = true; ; isFirst = false) {
    const attachedAt = await deps.tail.attach(subscription);
    if (isFirst) {
      await deliverMissedDevices(deps, subscription, subscriber, cursor);
      reportExpiredEvents(deps, subscriber, cursor);
    }
    if (!(await replay(deps, subscription, subscriber, { after: reached, upTo: attachedAt }))) return false;
    if (!subscription.bufferOverflowed) {
      goLive(subscription);
      return true;
    }
    // The buffer overflowed during the replay, so the later events are read from the log as well.
    if (compareLogPositions(attachedAt, reached) > 0) reached = attachedAt;
  }
}

/**
 * Tells a subscriber whose cursor is older than the retention that events may be missing. The cursor of the notice has
 * the present time, so that a subscriber without new events gets the notice once and not at each connection.
 */
function reportExpiredEvents(deps: SubscribeDeps, subscriber: PacedSubscriber, cursor: EventCursor): void {
  const nowMs = deps.clock.nowMs();
  if (cursor.receivedAtMs >= nowMs - deps.eventTtlDays * dayMs) return;
  subscriber.deliver(startFrame(deps.codec.encode({ ...cursor, receivedAtMs: nowMs }), 'eventsExpired'));
}

function goLive(subscription: Subscription): void {
  const buffered = subscription.buffered ?? [];
  subscription.buffered = undefined;
  for (const frame of buffered) subscription.subscriber.deliver(frame);
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

/**
 * Delivers the events of the rows that the subscriber may receive.
 * @returns false when the connection has closed.
 */
async function deliverRows(
  deps: SubscribeDeps,
  subscriber: PacedSubscriber,
  rows: readonly EventRow[],
): Promise<boolean> {
  for (let start = 0; start < rows.length;) {
    const rest = rows.slice(start);
    const groups = new Map(rest.map(({ groupId }) => [groupId.toString('hex'), groupId]));
    const [{ events, openedRows }, entitlements] = await Promise.all([
      openEvents({ sql: deps.database.sql, privacy: deps.privacy }, rest),
      readEntitlements(
        { db: deps.database.db, privacy: deps.privacy },
        [...groups.values()].map((groupId) => ({ groupId, did: subscriber.did })),
      ),
    ]);
    start += openedRows;
    for (const [index, event] of events.entries()) {
      if (index % eventsPerTurn === eventsPerTurn - 1) await deps.clock.sleep(0);
      const membership = entitlements.get(entitlementKey(event.groupId, subscriber.did));
      if (membership === undefined || !isEntitled(membership, event.eventNo)) continue;
      if (!concerns(event, subscriber.did)) continue;
      subscriber.deliver(eventFrame(deps.codec, event));
      if (!subscriber.isReady() && !(await subscriber.ready())) return false;
    }
  }
  return true;
}
