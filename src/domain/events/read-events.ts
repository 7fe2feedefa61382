import { eventKinds } from './event.ts';
import type { EventRow, LogPlace } from './event.ts';
import { selectGeneration, selectHorizon, selectReplay, selectTail } from './store.ts';
import type { Message } from '#domain/messages/message.ts';
import { openMessage } from '#domain/messages/list-messages.ts';
import { selectMessagesBySeq } from '#domain/messages/select-messages.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/database.ts';

/** What membership events say happened (lexicon `membershipChangeEvent`). */
export type MembershipAction = 'joined' | 'left' | 'removed';

/** An event with what a subscriber is told of it. */
export type StreamEvent = LogPlace & { readonly receivedAt: Date } & (
    | { readonly kind: 'message'; readonly message: Message }
    | { readonly kind: 'membership'; readonly did: string; readonly action: MembershipAction; readonly epoch: number }
  );

const actions: ReadonlyMap<number, MembershipAction> = new Map([
  [eventKinds.joined, 'joined'],
  [eventKinds.left, 'left'],
  [eventKinds.removed, 'removed'],
]);

/** The log after `after`, complete up to the horizon; at most `limit` rows. */
export async function readTail(
  deps: { sql: Sql },
  after: LogPlace,
  limit: number,
): Promise<{ events: EventRow[]; horizon: number }> {
  return selectTail(deps.sql, after, limit);
}

/** The events of some conversations in a range of the log that lies below the horizon. */
export async function readReplay(
  deps: { sql: Sql; eventTtlDays: number },
  range: { groupIds: readonly Buffer[]; after: LogPlace; upTo: LogPlace; limit: number },
): Promise<EventRow[]> {
  return selectReplay(deps.sql, { ...range, ttlDays: deps.eventTtlDays });
}

/** The horizon now: every event below it is visible and final. */
export async function readHorizon(deps: { sql: Sql }): Promise<number> {
  return selectHorizon(deps.sql);
}

/** The database's cursor generation, made by the first migration. */
export async function readCursorGeneration(deps: { sql: Sql }): Promise<Buffer> {
  return selectGeneration(deps.sql);
}

/** The person a membership event is about, or undefined for other events. */
export function personOf(privacy: Privacy, row: EventRow): string | undefined {
  return row.sealedDid === null
    ? undefined
    : privacy.unsealText('event-did', [row.groupId, row.eventNo], row.sealedDid);
}

/** Joins rows with their messages; an event whose message has expired is left out. The order stays. */
export async function openEvents(
  deps: { sql: Sql; privacy: Privacy },
  rows: readonly EventRow[],
): Promise<StreamEvent[]> {
  const ofMessages = rows.filter((row) => row.kind === eventKinds.message && row.seq !== null);
  const messages = new Map(
    (
      await selectMessagesBySeq(deps, {
        groupIds: ofMessages.map((row) => row.groupId),
        seqs: ofMessages.map((row) => row.seq ?? 0),
      })
    ).map((row) => [messageKey(row.groupId, row.seq), row]),
  );
  return rows.flatMap((row): StreamEvent[] => {
    const { position, groupId, eventNo, receivedAt } = row;
    const place = { position, groupId, eventNo, receivedAt };
    const action = actions.get(row.kind);
    const did = personOf(deps.privacy, row);
    if (action !== undefined && did !== undefined) {
      return [{ ...place, kind: 'membership', did, action, epoch: row.epoch ?? 0 }];
    }
    const message = messages.get(messageKey(groupId, row.seq ?? 0));
    return message === undefined ? [] : [{ ...place, kind: 'message', message: openMessage(deps.privacy, message) }];
  });
}

function messageKey(groupId: Buffer, seq: number): string {
  return `${groupId.toString('hex')} ${seq}`;
}
