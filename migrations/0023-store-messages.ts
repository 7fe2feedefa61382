import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/** The function append_messages of 0017, which servers of earlier releases call, with two more columns. */
const storeMessages = `
CREATE FUNCTION store_messages(
  p_group bytea[], p_member bytea[], p_epoch bigint[], p_msg_id text[],
  p_start integer[], p_size integer[], p_bodies bytea, p_bucket_seconds integer
) RETURNS TABLE (item integer, outcome text, seq bigint, epoch bigint, received_at timestamptz,
                 "position" bigint, event_no bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  v_received timestamptz :=
    to_timestamp(floor(extract(epoch FROM clock_timestamp()) / p_bucket_seconds) * p_bucket_seconds);
  v_looked smallint[];
BEGIN
  SELECT array_agg(m.state ORDER BY i.item) INTO v_looked
  FROM unnest(p_group, p_member) WITH ORDINALITY AS i(group_id, member, item)
  LEFT JOIN members m ON m.group_id = i.group_id AND m.member = i.member;
  PERFORM 1 FROM conversation_counters c
  WHERE c.group_id = ANY (ARRAY(SELECT i.group_id FROM unnest(p_group, v_looked) AS i(group_id, looked) WHERE i.looked = 1))
  ORDER BY c.group_id FOR NO KEY UPDATE;
  RETURN QUERY
  WITH judged AS MATERIALIZED (
    SELECT i.item::integer AS item, i.group_id, i.epoch AS claimed_epoch, i.msg_id, i.start, i.size,
           c.epoch AS current_epoch, c.last_seq, c.last_event,
           d.seq AS known_seq, d.epoch AS known_epoch, d.received_at AS known_received,
           CASE WHEN i.looked IS NULL THEN 'stranger'
                WHEN i.looked <> 1 THEN 'former'
                WHEN m.state IS NULL THEN 'stranger'
                WHEN m.state <> 1 THEN 'former'
                WHEN d.seq IS NOT NULL THEN 'duplicate'
                WHEN i.epoch <> c.epoch THEN 'stale'
                ELSE 'stored' END AS outcome
    FROM unnest(p_group, p_member, p_epoch, p_msg_id, p_start, p_size, v_looked)
         WITH ORDINALITY AS i(group_id, member, epoch, msg_id, start, size, looked, item)
    LEFT JOIN conversation_counters c ON i.looked = 1 AND c.group_id = i.group_id
    LEFT JOIN members m ON i.looked = 1 AND m.group_id = i.group_id AND m.member = i.member
    LEFT JOIN LATERAL (
      SELECT x.seq, x.epoch, x.received_at FROM messages x
      WHERE i.looked = 1 AND x.group_id = i.group_id AND x.msg_id = i.msg_id LIMIT 1
    ) d ON true
  ), numbered AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.group_id, j.outcome ORDER BY j.item) AS nth FROM judged j
  ), placed AS MATERIALIZED (
    SELECT next_log_position() AS position WHERE EXISTS (SELECT 1 FROM numbered n WHERE n.outcome = 'stored')
  ), stored AS (
    INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT n.group_id, n.last_seq + n.nth, n.current_epoch, 1, n.msg_id, v_received,
           substring(p_bodies FROM n.start + 1 FOR n.size)
    FROM numbered n WHERE n.outcome = 'stored'
  ), announced AS (
    INSERT INTO events (group_id, position, event_no, received_at, kind, seq)
    SELECT n.group_id, p.position, n.last_event + n.nth, v_received, 1, n.last_seq + n.nth
    FROM numbered n CROSS JOIN placed p WHERE n.outcome = 'stored'
  ), counted AS (
    UPDATE conversation_counters c
    SET last_seq = c.last_seq + s.added, last_event = c.last_event + s.added, last_position = p.position
    FROM (SELECT n.group_id, count(*) AS added FROM numbered n WHERE n.outcome = 'stored' GROUP BY n.group_id) s
    CROSS JOIN placed p
    WHERE c.group_id = s.group_id
  )
  SELECT n.item, n.outcome,
         CASE n.outcome WHEN 'stored' THEN n.last_seq + n.nth WHEN 'duplicate' THEN n.known_seq END,
         CASE n.outcome WHEN 'duplicate' THEN n.known_epoch ELSE n.current_epoch END,
         CASE n.outcome WHEN 'duplicate' THEN n.known_received ELSE v_received END,
         CASE n.outcome WHEN 'stored' THEN p.position END,
         CASE n.outcome WHEN 'stored' THEN n.last_event + n.nth END
  FROM numbered n LEFT JOIN placed p ON true;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(storeMessages).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION store_messages`.execute(db);
}
