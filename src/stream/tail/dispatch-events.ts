import { eventKinds } from '#domain/events/event.ts';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { openEvents, personOf } from '#domain/events/read-events.ts';
import type { CursorCodec } from '#domain/events/cursor.ts';
import { readEntitlements } from '#domain/membership/members/read-entitlements.ts';
import type { Listener } from '#domain/membership/members/read-entitlements.ts';
import type { MessageRow } from '#domain/messages/message-row.ts';
import { required } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import { eventFrame } from '../frames.ts';
import type { Hub } from '../hub.ts';

export interface DispatchDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly hub: Hub;
  readonly codec: CursorCodec;
}

/**
 * Delivers the events of these rows, which follow `hub.position` without a gap. Joins and leaves take effect in log
 * order. No subscription may be attached before it has ended.
 * @param knownMessage returns the message of an event that need not be read.
 * @returns false if some rows must be read again with the next batch, because their messages did not fit into this one.
 */
export async function dispatchEvents(
  deps: DispatchDeps,
  rows: readonly EventRow[],
  knownMessage: (row: EventRow) => MessageRow | undefined,
): Promise<boolean> {
  const { hub } = deps;
  const source = { sql: deps.database.sql, db: deps.database.db, privacy: deps.privacy };
  const joiners = subscribersWhoJoin(deps, rows);
  const joined = new Set(joiners.map(({ groupId }) => groupId.toString('hex')));
  const wanted = rows.filter((row) => hub.hasListeners(row.groupId) || joined.has(row.groupId.toString('hex')));
  const groupIds = [...new Map(wanted.map((row) => [row.groupId.toString('hex'), row.groupId])).values()];
  const readFor = [...hub.listenersWithoutEntitlement(groupIds), ...joiners];
  const [{ events, openedRows }, entitlements] = await Promise.all([
    openEvents(source, wanted, knownMessage),
    readEntitlements(source, readFor),
  ]);
  const isComplete = openedRows === wanted.length;
  const upTo: LogPosition = required(isComplete ? rows.at(-1) : wanted[openedRows - 1], 'a row');
  hub.dispatch({ events, readFor, entitlements, upTo }, (event) => eventFrame(deps.codec, event));
  return isComplete;
}

/** Returns the subscribers of this server who join a conversation in these rows. */
function subscribersWhoJoin({ hub, privacy }: DispatchDeps, rows: readonly EventRow[]): Listener[] {
  return rows.flatMap((row) => {
    const did = row.kind === eventKinds.joined ? personOf(privacy, row) : undefined;
    return did !== undefined && hub.hasPerson(did) ? [{ groupId: row.groupId, did }] : [];
  });
}
