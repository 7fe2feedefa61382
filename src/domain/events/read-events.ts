import { eventKinds, positionBefore } from './event.ts';
import type { EventRow, LogPosition } from './event.ts';
import { selectGeneration, selectLogEnd, selectReplay, selectTail } from './store.ts';
import type { Message } from '#domain/messages/message.ts';
import { openMessage } from '#domain/messages/list-messages.ts';
import { selectMessagesBySeq } from '#domain/messages/select-messages.ts';
import type { MessageRow } from '#domain/messages/message-row.ts';
import { readWarnings, warningKey } from '#domain/warnings/read-warnings.ts';
import type { Warning } from '#domain/warnings/warning.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { assertRestoreFinished } from '#storage/schema/finish-restore.ts';

/** What membership events say happened (lexicon `membershipChangeEvent`). */
export type MembershipAction = 'joined' | 'left' | 'removed';

/** What a person who lost the group's state asks the members for. */
export type HelpKind = 'groupInfoRefreshRequested' | 'readditionRequested';

/** An event with what a subscriber is told of it. */
export type StreamEvent = LogPosition & { readonly receivedAt: Date } & (
    | { readonly kind: 'message'; readonly message: Message }
    | { readonly kind: 'membership'; readonly did: string; readonly action: MembershipAction; readonly epoch: number }
    | { readonly kind: HelpKind; readonly did: string }
    /** For `did` alone. */
    | { readonly kind: 'warning'; readonly did: string; readonly warning: Warning }
  );

const actions: ReadonlyMap<number, MembershipAction> = new Map([
  [eventKinds.joined, 'joined'],
  [eventKinds.left, 'left'],
  [eventKinds.removed, 'removed'],
]);

const helpKinds: ReadonlyMap<number, HelpKind> = new Map([
  [eventKinds.groupInfoRefreshRequested, 'groupInfoRefreshRequested'],
  [eventKinds.readditionRequested, 'readditionRequested'],
]);

/**
 * The log after `after`, which is a place that was read before. `isHeld`: more positions were taken, by transactions that are not over
 * or that wrote nothing. With gaps `pass` the latter are found out, which costs more; with `await` both are waited for.
 */
export async function readTail(
  deps: { sql: Sql },
  after: LogPosition,
  page: { limit: number; gaps: 'pass' | 'await' },
): Promise<{ events: EventRow[]; isHeld: boolean }> {
  return selectTail(deps.sql, after, page);
}

/** The events of some conversations in a range of the log that ends at a place which was read. */
export async function readReplay(
  deps: { sql: Sql; eventTtlDays: number },
  range: { groupIds: readonly Buffer[]; after: LogPosition; upTo: LogPosition; limit: number },
): Promise<EventRow[]> {
  return selectReplay(deps.sql, { ...range, ttlDays: deps.eventTtlDays });
}

/** The end of the log now: every event up to here is visible and final, and whatever is committed later comes after it. */
export async function readLogEnd(deps: { sql: Sql }): Promise<LogPosition> {
  return positionBefore((await selectLogEnd(deps.sql)) + 1);
}

/**
 * The database's cursor generation, made by the first migration.
 * @throws ConfigError when the database was restored from a dump and nobody has finished that.
 */
export async function readCursorGeneration(deps: { sql: Sql }): Promise<Buffer> {
  await assertRestoreFinished(deps.sql);
  return selectGeneration(deps.sql);
}

/** The person a membership event is about, or undefined for other events. */
export function personOf(privacy: Privacy, row: EventRow): string | undefined {
  return row.sealedDid === null
    ? undefined
    : privacy.unsealText('event-did', [row.groupId, row.eventNo], row.sealedDid);
}

/** What rows came to: `openedRows` of them, from the front, are in `events`; the others are to be opened next. */
export interface OpenedEvents {
  readonly events: readonly StreamEvent[];
  readonly openedRows: number;
}

/** Bodies held at once; the first message always comes, however large. */
const openSizeBytesMax = 4_194_304;

/** Whether `did` may hear of the event at all, given that they are entitled to those of the conversation. */
export function concerns(event: StreamEvent, did: string): boolean {
  return event.kind !== 'warning' || event.did === did;
}

/** Joins rows with their messages, as many as fit; an event whose message or warning has expired is left out. The order stays. */
export async function openEvents(
  deps: { sql: Sql; privacy: Privacy },
  rows: readonly EventRow[],
): Promise<OpenedEvents> {
  const ofMessages = rows.filter((row) => row.kind === eventKinds.message && row.seq !== null);
  const messages = await selectMessagesBySeq(deps, {
    groupIds: ofMessages.map((row) => row.groupId),
    seqs: ofMessages.map((row) => row.seq ?? 0),
    sizeBytesMax: openSizeBytesMax,
  });
  const warnings = await readWarnings(
    deps,
    rows.filter((row) => row.kind === eventKinds.warning),
  );
  const byKey = new Map(messages.map((row) => [messageKey(row.groupId, row.seq), row]));
  const events: StreamEvent[] = [];
  for (const [index, row] of rows.entries()) {
    const message = byKey.get(messageKey(row.groupId, row.seq ?? 0));
    if (message !== undefined && message.body === null) return { events, openedRows: index };
    const event = eventOf(deps.privacy, row, { message, warning: warnings.get(warningKey(row)) });
    if (event !== undefined) events.push(event);
  }
  return { events, openedRows: rows.length };
}

function eventOf(
  privacy: Privacy,
  row: EventRow,
  { message, warning }: { message: MessageRow | undefined; warning: Warning | undefined },
): StreamEvent | undefined {
  const { position, groupId, eventNo, receivedAt } = row;
  const place = { position, groupId, eventNo, receivedAt };
  const action = actions.get(row.kind);
  const did = personOf(privacy, row);
  if (action !== undefined && did !== undefined) {
    return { ...place, kind: 'membership', did, action, epoch: row.epoch ?? 0 };
  }
  const help = helpKinds.get(row.kind);
  if (help !== undefined && did !== undefined) return { ...place, kind: help, did };
  if (warning !== undefined && did !== undefined) return { ...place, kind: 'warning', did, warning };
  return message && { ...place, kind: 'message', message: openMessage(privacy, message) };
}

function messageKey(groupId: Buffer, seq: number): string {
  return `${groupId.toString('hex')} ${seq}`;
}
