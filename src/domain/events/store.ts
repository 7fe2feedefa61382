import { sql } from 'kysely';
import type { Sql, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { EventKind, EventRow, LogPosition } from './event.ts';

export interface NewEvent {
  readonly eventNo: number;
  readonly kind: EventKind;
  readonly seq: number | null;
  readonly epoch: number | null;
  readonly sealedDid: Buffer | null;
}

export async function insertEvents(
  tx: Tx,
  group: { groupId: Buffer; position: number; bucketSeconds: number },
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  await tx
    .insertInto('events')
    .values(
      events.map((event) => ({
        group_id: group.groupId,
        position: group.position,
        event_no: event.eventNo,
        received_at: bucketedNow(group.bucketSeconds),
        kind: event.kind,
        seq: event.seq,
        epoch: event.epoch,
        sealed_did: event.sealedDid,
      })),
    )
    .execute();
}

/**
 * Updates the counters of a conversation. `tx` must hold the conversation's lock.
 * @returns the log position of this transaction's events (migrations/0017).
 */
export async function advanceCounters(
  tx: Tx,
  groupId: Buffer,
  next: { epoch: number; lastSeq: number; lastEvent: number },
): Promise<number> {
  const row = await tx
    .updateTable('conversation_counters')
    .set({
      epoch: next.epoch,
      last_seq: next.lastSeq,
      last_event: next.lastEvent,
      last_position: sql<number>`next_log_position()`,
    })
    .where('group_id', '=', groupId)
    .returning('last_position as position')
    .executeTakeFirstOrThrow();
  return row.position;
}

interface TailRow {
  readonly isHeld: boolean;
  readonly takenUpTo: number;
  readonly position: number | null;
  readonly groupId: Buffer;
  readonly eventNo: number;
  readonly receivedAt: Date;
  readonly kind: number;
  readonly seq: number | null;
  readonly epoch: number | null;
  readonly sealedDid: Buffer | null;
}

/** Final events after a position, in log order. */
export interface TailPage {
  readonly events: EventRow[];
  /** Whether later positions have been taken already. */
  readonly isHeld: boolean;
  /** The last position that was taken before or during the read. Every event that was visible has at most this position. */
  readonly takenUpTo: number;
}

/**
 * Selects final events after `after`. An event is final when no earlier event can still be added (migrations/0017).
 */
export async function selectTail(
  sql: Sql,
  after: LogPosition,
  page: { limit: number; gaps: 'pass' | 'await' },
): Promise<TailPage> {
  const rows = await sql<TailRow[]>`
    SELECT r.is_held AS "isHeld", (SELECT s.last_value FROM log_positions s) AS "takenUpTo", r.position, r.group_id AS "groupId", r.event_no AS "eventNo", r.received_at AS "receivedAt",
           r.kind, r.seq, r.epoch, r.sealed_did AS "sealedDid"
    FROM read_log(${after.position}::bigint, ${after.groupId}::bytea, ${after.eventNo}::bigint, ${page.limit}::integer,
                  ${page.gaps === 'pass'}::boolean) r`;
  return {
    isHeld: rows.at(-1)?.isHeld ?? false,
    takenUpTo: rows.at(-1)?.takenUpTo ?? 0,
    events: rows.flatMap(({ position, groupId, eventNo, receivedAt, kind, seq, epoch, sealedDid }) =>
      position === null ? [] : [{ position, groupId, eventNo, receivedAt, kind, seq, epoch, sealedDid }],
    ),
  };
}

/** Selects the position of the last final event; 0 if there are no events. */
export async function selectLogEnd(sql: Sql): Promise<number> {
  const rows = await sql<{ position: number }[]>`SELECT log_end() AS position`;
  return rows[0]?.position ?? 0;
}

/**
 * Selects the events of `groupIds` after `after` and up to `upTo` in log order. All events up to `upTo` must be final.
 */
export async function selectReplay(
  sql: Sql,
  range: { groupIds: readonly Buffer[]; after: LogPosition; upTo: LogPosition; ttlDays: number; limit: number },
): Promise<EventRow[]> {
  return sql<EventRow[]>`
    SELECT e.position, e.group_id AS "groupId", e.event_no AS "eventNo", e.received_at AS "receivedAt",
           e.kind, e.seq, e.epoch, e.sealed_did AS "sealedDid"
    FROM unnest(${byteaArray(range.groupIds)}::bytea[]) AS g(group_id)
    CROSS JOIN LATERAL (
      SELECT * FROM events x
      WHERE x.group_id = g.group_id AND x.position >= ${range.after.position}::bigint AND x.position <= ${range.upTo.position}::bigint
        AND (x.position, x.group_id, x.event_no) > (${range.after.position}::bigint, ${range.after.groupId}::bytea, ${range.after.eventNo}::bigint)
        AND (x.position, x.group_id, x.event_no) <= (${range.upTo.position}::bigint, ${range.upTo.groupId}::bytea, ${range.upTo.eventNo}::bigint)
        AND x.received_at > now() - make_interval(days => ${range.ttlDays})
      ORDER BY x.position, x.event_no LIMIT ${range.limit}
    ) e
    ORDER BY e.position, e.group_id, e.event_no LIMIT ${range.limit}`;
}

/** Selects the database's cursor generation, 16 bytes. */
export async function selectGeneration(sql: Sql): Promise<Buffer> {
  const rows = await sql<{ generation: Buffer }[]>`SELECT generation FROM cursor_generation`;
  return rows[0]?.generation ?? Buffer.alloc(16);
}
