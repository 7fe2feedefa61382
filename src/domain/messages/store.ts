import { sql } from 'kysely';
import type { Db, Sql, Tx } from '#storage/connection/database.ts';
import type { MessageRow } from './message-row.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { messageKinds } from './message.ts';

/** A page ends once its bodies reach 16 MiB together, so that the size of a response is bounded. */
const pageSizeBytesMax = 16_777_216;

/** Inserts a message and returns the stored time of receipt. */
export async function insertMessage(tx: Tx, row: Omit<MessageRow, 'receivedAt'>, bucketSeconds: number): Promise<Date> {
  const stored = await tx
    .insertInto('messages')
    .values({
      group_id: row.groupId,
      seq: row.seq,
      epoch: row.epoch,
      kind: row.kind,
      msg_id: row.msgId,
      received_at: bucketedNow(bucketSeconds),
      body: row.body,
    })
    .returning('received_at as receivedAt')
    .executeTakeFirstOrThrow();
  return stored.receivedAt;
}

/**
 * Finds a message by id in all partitions. A concurrent insert can be missed, unless an earlier statement of the
 * transaction took the conversation's lock.
 */
export async function selectByMsgId(
  db: Db,
  groupId: Buffer,
  msgId: string,
): Promise<{ kind: number; seq: number; epoch: number; receivedAt: Date } | undefined> {
  return db
    .selectFrom('messages')
    .select(['kind', 'seq', 'epoch', 'received_at as receivedAt'])
    .where('group_id', '=', groupId)
    .where('msg_id', '=', msgId)
    .executeTakeFirst();
}

/**
 * Selects the commits that started the epochs of the range, or none if they are larger than `sizeBytesMax` together.
 */
export async function selectCommits(
  db: Db,
  groupId: Buffer,
  range: { fromEpoch: number; toEpoch: number; sizeBytesMax: number },
): Promise<{ epoch: number; body: Buffer }[]> {
  const rows = await sql<{ epoch: number; body: Buffer }>`
    SELECT epoch, body FROM (
      SELECT epoch, body, sum(octet_length(body)) OVER () AS size_bytes FROM messages
      WHERE group_id = ${groupId} AND kind = 2 AND epoch BETWEEN ${range.fromEpoch}::bigint AND ${range.toEpoch}::bigint
    ) c WHERE size_bytes <= ${range.sizeBytesMax} ORDER BY epoch`.execute(db);
  return rows.rows;
}

/** Selects the proposals in clear of one epoch with a higher number than `afterSeq`. */
export async function selectProposals(
  db: Db,
  groupId: Buffer,
  { epoch, afterSeq }: { epoch: number; afterSeq: number },
): Promise<{ seq: number; body: Buffer }[]> {
  return db
    .selectFrom('messages')
    .select(['seq', 'body'])
    .where('group_id', '=', groupId)
    .where('epoch', '=', epoch)
    .where('kind', '=', sql.lit(messageKinds.proposal))
    .where('seq', '>', afterSeq)
    .orderBy('seq')
    .execute();
}

/** Counts the proposals in clear of one epoch and adds up the sizes of their bodies. */
export async function sumProposals(
  db: Db,
  groupId: Buffer,
  epoch: number,
): Promise<{ count: number; sizeBytes: number }> {
  const row = await db
    .selectFrom('messages')
    .select((eb) => [eb.fn.countAll<number>().as('count'), sql<number | null>`sum(octet_length(body))`.as('sizeBytes')])
    .where('group_id', '=', groupId)
    .where('epoch', '=', epoch)
    .where('kind', '=', sql.lit(messageKinds.proposal))
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), sizeBytes: Number(row.sizeBytes ?? 0) };
}

/** A page of messages and the reader's membership, which are read in one round trip. */
export interface MessagePage {
  /** Undefined for people who were never members. */
  readonly membership: { readonly state: number; readonly joinedSeq: number; readonly lastSeq: number } | undefined;
  readonly rows: readonly MessageRow[];
}

interface PageRow {
  readonly state: number;
  readonly joinedSeq: number;
  readonly lastSeq: number;
  readonly groupId: Buffer;
  readonly seq: number | null;
  readonly epoch: number;
  readonly kind: number;
  readonly msgId: string;
  readonly receivedAt: Date;
  readonly body: Buffer;
}

/** The range of a page, which is either the messages after a number or the commits of a range of epochs. */
export type PageRange = { readonly sinceSeq: number } | { readonly fromEpoch: number; readonly toEpoch: number };

/**
 * Selects the unexpired messages of `range` since the reader's join, at most `limit` messages and until their bodies
 * reach 16 MiB. A reader who is not an active member gets no messages.
 */
export async function selectPage(
  sql: Sql,
  query: { groupId: Buffer; member: Buffer; range: PageRange; limit: number; ttlDays: number },
): Promise<MessagePage> {
  const { range } = query;
  const [isInRange, order] =
    'sinceSeq' in range
      ? [sql`y.seq > greatest(${range.sinceSeq}::bigint, m.joined_seq - 1)`, sql`y.seq`]
      : [
          sql`y.kind = 2 AND y.seq >= m.joined_seq AND y.epoch BETWEEN ${range.fromEpoch}::bigint AND ${range.toEpoch}::bigint`,
          sql`y.epoch`,
        ];
  const rows = await sql<PageRow[]>`
    SELECT m.state, m.joined_seq AS "joinedSeq", c.last_seq AS "lastSeq", m.group_id AS "groupId",
           p.seq, p.epoch, p.kind, p.msg_id AS "msgId", p.received_at AS "receivedAt", p.body
    FROM members m
    JOIN conversation_counters c ON c.group_id = m.group_id
    LEFT JOIN LATERAL (
      SELECT * FROM (
        SELECT x.*, sum(octet_length(x.body)) OVER (ORDER BY x.seq) - octet_length(x.body) AS bytes_before
        FROM (
          SELECT * FROM messages y
          WHERE y.group_id = m.group_id AND ${isInRange}
            AND y.received_at > now() - make_interval(days => ${query.ttlDays})
          ORDER BY ${order} LIMIT ${query.limit}
        ) x
      ) z WHERE z.bytes_before < ${pageSizeBytesMax}
    ) p ON m.state = 1
    WHERE m.group_id = ${query.groupId} AND m.member = ${query.member}
    ORDER BY p.seq`;
  return toPage(rows);
}

function toPage(rows: readonly PageRow[]): MessagePage {
  const [first] = rows;
  if (first === undefined) return { membership: undefined, rows: [] };
  return {
    membership: { state: first.state, joinedSeq: first.joinedSeq, lastSeq: first.lastSeq },
    rows: rows.flatMap(({ seq, ...row }) => (seq === null ? [] : [{ ...row, seq }])),
  };
}

/**
 * A message, or only its number when earlier bodies reached the size limit. The caller must read an omitted message
 * again.
 */
export type MessageRowOrOmitted = MessageRow | { readonly groupId: Buffer; readonly seq: number; readonly body: null };

/**
 * Selects the messages with number `seqs[i]` in conversation `groupIds[i]`, in the order of `seqs`. A body is null once
 * the bodies before it have `sizeBytesMax` bytes together, so the first body is always read.
 */
export async function selectBySeq(
  sql: Sql,
  wanted: { groupIds: readonly Buffer[]; seqs: readonly number[]; sizeBytesMax: number },
): Promise<MessageRowOrOmitted[]> {
  if (wanted.seqs.length === 0) return [];
  return sql<MessageRowOrOmitted[]>`
    SELECT "groupId", seq, epoch, kind, "msgId", "receivedAt",
           CASE WHEN bytes_before < ${wanted.sizeBytesMax} THEN body END AS body
    FROM (
      SELECT m.group_id AS "groupId", m.seq, m.epoch, m.kind, m.msg_id AS "msgId", m.received_at AS "receivedAt", m.body, w.nth,
             sum(octet_length(m.body)) OVER (ORDER BY w.nth) - octet_length(m.body) AS bytes_before
      FROM unnest(${byteaArray(wanted.groupIds)}::bytea[], ${[...wanted.seqs]}::bigint[])
           WITH ORDINALITY AS w(group_id, seq, nth)
      JOIN messages m ON m.group_id = w.group_id AND m.seq = w.seq
    ) found ORDER BY nth`;
}
