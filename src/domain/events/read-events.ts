import { eventKinds, positionBefore } from './event.ts';
import type { EventRow, LogPosition } from './event.ts';
import { selectGeneration, selectLogEnd, selectReplay, selectTail } from './store.ts';
import type { TailPage } from './store.ts';
import type { Message } from '#domain/messages/message.ts';
import { openMessage } from '#domain/messages/list-messages.ts';
import { readMessagesBySeq } from '#domain/messages/read-messages-by-seq.ts';
import type { MessageRow } from '#domain/messages/message-row.ts';
import { readWarnings, warningKey } from '#domain/warnings/read-warnings.ts';
import type { Warning } from '#domain/warnings/warning.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Sql } from '#storage/connection/database.ts';
import { assertRestoreFinished } from '#storage/schema/finish-restore.ts';

/** The kinds of change that a membership event reports (lexicon `membershipChangeEvent`). */
export type MembershipAction = 'joined' | 'left' | 'removed';

/** The role that a person has after a change of role (lexicon `membershipChangeEvent`). */
export type RoleName = 'member' | 'moderator' | 'admin';

/** The kinds of request that a person who lost the group's state sends to the members. */
export type HelpKind = 'groupInfoRefreshRequested' | 'readditionRequested';

/** An event with its content, as subscribers get it. */
export type StreamEvent = LogPosition & { readonly receivedAt: Date } & (
    | { readonly kind: 'message'; readonly message: Message }
    | { readonly kind: 'membership'; readonly did: string; readonly action: MembershipAction; readonly epoch: number }
    | { readonly kind: 'role'; readonly did: string; readonly role: RoleName; readonly epoch: number }
    | { readonly kind: HelpKind; readonly did: string }
    /** Sent only to the warned person, who is `did`. */
    | { readonly kind: 'warning'; readonly did: string; readonly warning: Warning }
  );

const actions: ReadonlyMap<number, MembershipAction> = new Map([
  [eventKinds.joined, 'joined'],
  [eventKinds.left, 'left'],
  [eventKinds.removed, 'removed'],
]);

const rolesAfter: ReadonlyMap<number, RoleName> = new Map([
  [eventKinds.becameMember, 'member'],
  [eventKinds.becameModerator, 'moderator'],
  [eventKinds.becameAdmin, 'admin'],
]);

const helpKinds: ReadonlyMap<number, HelpKind> = new Map([
  [eventKinds.groupInfoRefreshRequested, 'groupInfoRefreshRequested'],
  [eventKinds.readditionRequested, 'readditionRequested'],
]);

/**
 * Reads final events after `after`, which must be the position of an event that was read before. A position can be
 * without visible events, because its transaction is still open or wrote no event.
 * @param page with gaps `await` the page ends at the first position without visible events; `pass` skips these
 *   positions if their transactions have ended, which costs more.
 */
export async function readTail(
  deps: { sql: Sql },
  after: LogPosition,
  page: { limit: number; gaps: 'pass' | 'await' },
): Promise<TailPage> {
  return selectTail(deps.sql, after, page);
}

/**
 * Reads the unexpired events of some conversations after `after` and up to `upTo`, which must be a position that was
 * read before.
 */
export async function readReplay(
  deps: { sql: Sql; eventTtlDays: number },
  range: { groupIds: readonly Buffer[]; after: LogPosition; upTo: LogPosition; limit: number },
): Promise<EventRow[]> {
  return selectReplay(deps.sql, { ...range, ttlDays: deps.eventTtlDays });
}

/**
 * Reads the present end of the log. All events up to this position are visible and final, and events that are committed
 * later come after it.
 */
export async function readLogEnd(deps: { sql: Sql }): Promise<LogPosition> {
  return positionBefore((await selectLogEnd(deps.sql)) + 1);
}

/**
 * Reads the database's cursor generation, which the first migration created.
 * @throws ConfigError when the database was restored from a dump and the restore is not finished.
 */
export async function readCursorGeneration(deps: { sql: Sql }): Promise<Buffer> {
  await assertRestoreFinished(deps.sql);
  return selectGeneration(deps.sql);
}

/**
 * Unseals the DID of the person whom an event concerns.
 * @returns undefined for events of messages.
 */
export function personOf(privacy: Privacy, row: EventRow): string | undefined {
  return row.sealedDid === null
    ? undefined
    : privacy.unsealText('event-did', [row.groupId, row.eventNo], row.sealedDid);
}

/** The events of the first `openedRows` rows. The caller must open the remaining rows with another call. */
export interface OpenedEvents {
  readonly events: readonly StreamEvent[];
  readonly openedRows: number;
}

/** The maximum total size in bytes of the bodies that are opened at once. The first message is opened at any size. */
const openSizeBytesMax = 4_194_304;

/**
 * Returns whether `did`, who may read the conversation's events, gets this event. A warning is sent only to the warned
 * person.
 */
export function concerns(event: StreamEvent, did: string): boolean {
  return event.kind !== 'warning' || event.did === did;
}

/**
 * Adds messages and warnings to event rows until the bodies that are read reach 4 MiB. Events whose message or warning
 * has expired are left out.
 * @param knownMessage returns the message of an event that need not be read.
 */
export async function openEvents(
  deps: { sql: Sql; privacy: Privacy },
  rows: readonly EventRow[],
  knownMessage: (row: EventRow) => MessageRow | undefined = () => undefined,
): Promise<OpenedEvents> {
  const known = rows.map(knownMessage);
  const ofMessages = rows.filter(
    (row, index) => row.kind === eventKinds.message && row.seq !== null && known[index] === undefined,
  );
  const messages = await readMessagesBySeq(deps, {
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
    const message = known[index] ?? byKey.get(messageKey(row.groupId, row.seq ?? 0));
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
  const logPosition = { position, groupId, eventNo, receivedAt };
  const action = actions.get(row.kind);
  const did = personOf(privacy, row);
  if (action !== undefined && did !== undefined) {
    return { ...logPosition, kind: 'membership', did, action, epoch: row.epoch ?? 0 };
  }
  const role = rolesAfter.get(row.kind);
  if (role !== undefined && did !== undefined) {
    return { ...logPosition, kind: 'role', did, role, epoch: row.epoch ?? 0 };
  }
  const help = helpKinds.get(row.kind);
  if (help !== undefined && did !== undefined) return { ...logPosition, kind: help, did };
  if (warning !== undefined && did !== undefined) return { ...logPosition, kind: 'warning', did, warning };
  return message && { ...logPosition, kind: 'message', message: openMessage(privacy, message) };
}

function messageKey(groupId: Buffer, seq: number): string {
  return `${groupId.toString('hex')} ${seq}`;
}
