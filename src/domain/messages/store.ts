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

/** A page of messages and the reader's membership. */
export interface MessagePage {
  /** Undefined for people who were never members. */
  readonly membership: Membership | undefined;
  /** In the order of `seq`. */
  readonly rows: readonly MessageRow[];
}

interface Membership {
  readonly state: number;
  readonly joinedSeq: number;
  readonly lastSeq: number;
}

type PageRow = (Membership & { readonly seq: null }) | ReadRow;

/** A message, or a message without its body, which is read separately because it is large. */
type ReadRow = Omit<MessageRow, 'groupId' | 'body'> & { readonly body: Buffer | null };

/** The range of a page, which is either the messages after a number or the commits of a range of epochs. */
export type PageRange = { readonly sinceSeq: number } | { readonly fromEpoch: number; readonly toEpoch: number };

/**
 * Selects the unexpired messages of `range` since the reader's join, at most `limit` messages and until their bodies
 * reach 16 MiB. A reader who is not an active member gets no messages.
 *
 * One statement reads the membership and the messages, so that both are of one moment. It neither sorts nor adds up
 * sizes, because Postgres copies every body for that (354 µs for a page of 50 messages of 1 KiB, 212 µs without).
 */
export async function selectPage(
  sql: Sql,
  query: { groupId: Buffer; member: Buffer; range: PageRange; limit: number; ttlDays: number },
): Promise<MessagePage> {
  const { groupId, range, limit } = query;
  const [isInRange, order] =
    'sinceSeq' in range
      ? [
          sql`y.seq > (SELECT greatest(${range.sinceSeq}::bigint, joined_seq - 1) FROM reader WHERE state = 1)`,
          sql`y.seq`,
        ]
      : [
          sql`y.kind = 2 AND y.seq >= (SELECT joined_seq FROM reader WHERE state = 1)
            AND y.epoch BETWEEN ${range.fromEpoch}::bigint AND ${range.toEpoch}::bigint`,
          sql`y.epoch`,
        ];
  const rows = await sql<PageRow[]>`
    WITH reader AS MATERIALIZED (
      SELECT m.state, m.joined_seq, c.last_seq
      FROM members m JOIN conversation_counters c ON c.group_id = m.group_id
      WHERE m.group_id = ${groupId} AND m.member = ${query.member}
    )
    SELECT state, joined_seq AS "joinedSeq", last_seq AS "lastSeq", NULL::bigint AS seq, NULL::bigint AS epoch,
           NULL::smallint AS kind, NULL::text AS "msgId", NULL::timestamptz AS "receivedAt", NULL::bytea AS body
    FROM reader
    UNION ALL (
      SELECT NULL, NULL, NULL, y.seq, y.epoch, y.kind, y.msg_id, y.received_at,
             CASE WHEN octet_length(y.body) <= ${Math.floor(pageSizeBytesMax / limit)} THEN y.body END
      FROM messages y
      WHERE y.group_id = ${groupId} AND ${isInRange}
        AND y.received_at > (SELECT now() - make_interval(days => ${query.ttlDays}))
      ORDER BY ${order} LIMIT ${limit}
    )`;
  const membership = rows.find((row) => row.seq === null);
  const messages = rows.filter((row) => row.seq !== null).sort((a, b) => a.seq - b.seq);
  return { membership, rows: await withBodies(sql, groupId, messages) };
}

/** Adds the bodies that `rows` lack, and ends the page once its bodies reach 16 MiB. */
async function withBodies(sql: Sql, groupId: Buffer, rows: readonly ReadRow[]): Promise<MessageRow[]> {
  const seqs = rows.filter((row) => row.body === null).map((row) => row.seq);
  const groupIds = seqs.map(() => groupId);
  const large = await selectBySeq(sql, { groupIds, seqs, sizeBytesMax: pageSizeBytesMax });
  const bodies = new Map(large.map((row) => [row.seq, row.body]));
  const page: MessageRow[] = [];
  let sizeBytes = 0;
  for (const row of rows) {
    const body = row.body ?? bodies.get(row.seq);
    if (body === null || sizeBytes >= pageSizeBytesMax) break;
    // A body is missing if its partition was dropped after the first statement.
    if (body === undefined) continue;
    page.push({ ...row, groupId, body });
    sizeBytes += body.length;
  }
  return page;
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
