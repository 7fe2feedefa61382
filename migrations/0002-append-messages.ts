import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'contracts';

/**
 * Stores many messages in one round trip: all steps of a send.
 *
 * Safe with any number of concurrent writers in READ COMMITTED. The first statement locks the counter rows in the order of group
 * ids, so that two batches cannot deadlock. The second statement takes its snapshot after it has these locks, and each statement
 * of a volatile function takes its own. Every writer that changes members, epoch or messages of a conversation takes the same
 * lock. So membership, epoch and the duplicate check are exact, `seq` has no gaps, and an invalid item fails alone. `position` is
 * at least the id of this transaction and never decreases within a conversation; readers stop at pg_snapshot_xmin, so no event
 * appears before a cursor that a client has. A session keeps the plans of its first calls, when partitions may be nearly empty,
 * so sequential scans are disabled.
 */
const createFunction = `
CREATE FUNCTION append_messages(
  p_group bytea[], p_member bytea[], p_epoch bigint[], p_msg_id text[],
  p_start integer[], p_size integer[], p_bodies bytea, p_bucket_seconds integer
) RETURNS TABLE (item integer, outcome text, seq bigint, epoch bigint, received_at timestamptz)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_received timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp()) / p_bucket_seconds) * p_bucket_seconds);
  v_xid bigint;
BEGIN
  PERFORM 1 FROM conversation_counters c WHERE c.group_id = ANY (p_group) ORDER BY c.group_id FOR NO KEY UPDATE;
  v_xid := pg_current_xact_id()::text::bigint;
  RETURN QUERY
  WITH judged AS MATERIALIZED (
    SELECT i.item::integer AS item, i.group_id, i.epoch AS claimed_epoch, i.msg_id, i.start, i.size,
           c.epoch AS current_epoch, c.last_seq, c.last_event, greatest(c.last_position, v_xid) AS position,
           d.seq AS known_seq, d.epoch AS known_epoch, d.received_at AS known_received,
           CASE WHEN m.state IS NULL THEN 'stranger'
                WHEN m.state <> 1 THEN 'former'
                WHEN d.seq IS NOT NULL THEN 'duplicate'
                WHEN i.epoch <> c.epoch THEN 'stale'
                ELSE 'stored' END AS outcome
    FROM unnest(p_group, p_member, p_epoch, p_msg_id, p_start, p_size)
         WITH ORDINALITY AS i(group_id, member, epoch, msg_id, start, size, item)
    LEFT JOIN conversation_counters c ON c.group_id = i.group_id
    LEFT JOIN members m ON m.group_id = i.group_id AND m.member = i.member
    LEFT JOIN LATERAL (
      SELECT x.seq, x.epoch, x.received_at FROM messages x
      WHERE x.group_id = i.group_id AND x.msg_id = i.msg_id LIMIT 1
    ) d ON true
  ), numbered AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.group_id, j.outcome ORDER BY j.item) AS nth FROM judged j
  ), stored AS (
    INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT n.group_id, n.last_seq + n.nth, n.current_epoch, 1, n.msg_id, v_received,
           substring(p_bodies FROM n.start + 1 FOR n.size)
    FROM numbered n WHERE n.outcome = 'stored'
  ), announced AS (
    INSERT INTO events (group_id, position, event_no, received_at, kind, seq)
    SELECT n.group_id, n.position, n.last_event + n.nth, v_received, 1, n.last_seq + n.nth
    FROM numbered n WHERE n.outcome = 'stored'
  ), counted AS (
    UPDATE conversation_counters c
    SET last_seq = c.last_seq + s.added, last_event = c.last_event + s.added, last_position = s.position
    FROM (SELECT n.group_id, count(*) AS added, max(n.position) AS position
          FROM numbered n WHERE n.outcome = 'stored' GROUP BY n.group_id) s
    WHERE c.group_id = s.group_id
  )
  SELECT n.item, n.outcome,
         CASE n.outcome WHEN 'stored' THEN n.last_seq + n.nth WHEN 'duplicate' THEN n.known_seq END,
         CASE n.outcome WHEN 'duplicate' THEN n.known_epoch ELSE n.current_epoch END,
         CASE n.outcome WHEN 'duplicate' THEN n.known_received ELSE v_received END
  FROM numbered n;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(createFunction).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION append_messages`.execute(db);
}
