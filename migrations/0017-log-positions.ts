import { sql } from 'kysely';
import type { Kysely } from 'kysely';

/**
 * Servers of the previous release number events by transaction id and read up to pg_snapshot_xmin. One log cannot use both
 * numberings. No release has been published, so no service has to run both at once.
 */
export const effect = 'contracts';

/*
 * Positions in the event log, and the position up to which it may be read (docs/decisions/0021).
 *
 * A writer has the locks of its conversations. It then runs three statements: it reads the sequence (`low`), takes a shared
 * advisory lock that contains `low`, and takes its position from the sequence. A reader runs three statements: it reads the
 * sequence (`last`), reads the locks of writers (pg_locks), and reads the events up to least(last, lowest `low`) in a snapshot
 * taken after that.
 *
 * Why no event at or below this limit can appear later: take a writer whose position p is at most the limit. p <= last, so the
 * writer had taken p before the reader read `last`, and had taken its lock before p. When the reader reads the locks, there are
 * two cases. If the writer still has its lock, the limit is at most its `low`, which is less than p: a contradiction. If the
 * writer has ended, Postgres released the lock after the commit became visible to new snapshots, so the third statement sees the
 * events; a writer that rolled back has none. Advisory locks never use the fast path, so pg_locks reads all of them from the
 * shared lock table at one time. PREPARE TRANSACTION moves the lock to the prepared transaction, which keeps it over a crash.
 *
 * The sequence must not cache numbers: cached numbers of one session could be at or below the `low` of another.
 *
 * A crash may take back numbers that no committed transaction has used. So every position that is sent or stored is that of an
 * event which was read, never the limit. A commit is visible only after it is on disk, and the record of the sequence's number
 * was written before it.
 */
const lockNamespace = 0x4e_4a;
const positionMax = 2 ** 48 - 1;

/** Takes the position of the events of this transaction. The caller has the locks of their conversations. */
const nextLogPosition = `
CREATE FUNCTION next_log_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_low bigint;
BEGIN
  SELECT s.last_value INTO STRICT v_low FROM log_positions s;
  PERFORM pg_advisory_xact_lock_shared((${lockNamespace}::bigint << 48) | v_low);
  -- From here on this transaction holds back the readers: where nothing else bounds it, this does (Postgres 17 and newer).
  IF current_setting('transaction_timeout', true) = '0' THEN
    PERFORM set_config('transaction_timeout', '10s', true);
  END IF;
  RETURN nextval('log_positions');
END $$`;

/** Lists the transactions that may still write events, with the position that all their events exceed. */
const logWriters = `
CREATE FUNCTION log_writers() RETURNS TABLE (pid integer, low bigint) LANGUAGE sql STABLE AS $$
  SELECT l.pid, ((l.classid::bigint & 65535) << 32) | l.objid::bigint
  FROM pg_locks l
  WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.mode = 'ShareLock' AND l.granted
    AND l.classid::bigint >> 16 = ${lockNamespace}
    AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$`;

/** Returns the position up to which a statement that starts after this one may read the log. */
const logHorizon = `
CREATE FUNCTION log_horizon() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_last bigint;
  v_low bigint;
BEGIN
  SELECT s.last_value INTO STRICT v_last FROM log_positions s;
  SELECT min(w.low) INTO v_low FROM log_writers() w;
  RETURN least(v_last, v_low);
END $$`;

/** Returns the position of the last event that may be read, or 0. */
const logEnd = `
CREATE FUNCTION log_end() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_horizon bigint;
  v_end bigint;
BEGIN
  v_horizon := log_horizon();
  SELECT max(e.position) INTO v_end FROM events e WHERE e.position <= v_horizon;
  RETURN coalesce(v_end, 0);
END $$`;

/**
 * Returns the events after a position that was read before, or one row without an event if there are none. `is_held`: later
 * positions are taken already.
 *
 * Nothing is missing up to the first position without a visible event: a position belongs to one transaction, whose events become
 * visible together. So the locks are read only where such a gap comes first, and only with p_past_gaps. Usually the gap belongs
 * to a writer that is about to commit, and reading all locks of the cluster takes 0.25 ms and more. Each read has the same plan,
 * and planning again would cost more than the read.
 */
const readLog = `
CREATE FUNCTION read_log(p_position bigint, p_group bytea, p_event_no bigint, p_limit integer, p_past_gaps boolean)
RETURNS TABLE (is_held boolean, "position" bigint, group_id bytea, event_no bigint, received_at timestamptz,
               kind smallint, seq bigint, epoch bigint, sealed_did bytea)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  -- The place of an event is behind a position that was seen; one without a group lies before all events of its position.
  v_seen bigint := CASE WHEN p_group = ''::bytea THEN p_position - 1 ELSE p_position END;
  v_last bigint;
  v_horizon bigint;
BEGIN
  SELECT s.last_value INTO STRICT v_last FROM log_positions s;
  RETURN QUERY
  SELECT e.position < v_last, e.position, e.group_id, e.event_no, e.received_at, e.kind, e.seq, e.epoch, e.sealed_did
  FROM (
    SELECT x.*, dense_rank() OVER (ORDER BY x.position) AS nth, min(x.position) OVER () AS first
    FROM (
      SELECT * FROM events y WHERE (y.position, y.group_id, y.event_no) > (p_position, p_group, p_event_no)
      ORDER BY y.position, y.group_id, y.event_no LIMIT p_limit
    ) x
  ) e
  WHERE e.position = v_seen + e.nth - CASE WHEN e.first = v_seen THEN 1 ELSE 0 END
  ORDER BY e.position, e.group_id, e.event_no;
  IF FOUND THEN
    RETURN;
  END IF;
  v_horizon := CASE WHEN p_past_gaps AND v_last > v_seen THEN log_horizon() ELSE v_seen END;
  RETURN QUERY
  SELECT v_horizon < v_last, e.position, e.group_id, e.event_no, e.received_at, e.kind, e.seq, e.epoch, e.sealed_did
  FROM (VALUES (1)) AS always(one)
  LEFT JOIN LATERAL (
    SELECT * FROM events x
    WHERE v_horizon > v_seen AND (x.position, x.group_id, x.event_no) > (p_position, p_group, p_event_no) AND x.position <= v_horizon
    ORDER BY x.position, x.group_id, x.event_no LIMIT p_limit
  ) e ON true
  ORDER BY e.position, e.group_id, e.event_no;
END $$`;

/**
 * The function of 0002 with two changes. First, the position comes from next_log_position after the locks are taken, and only if
 * anything is stored: a position without events would be a gap that readers have to check. Second, a read comes before the locks:
 * the first statement reads whether the sender is a member, only conversations of active members are locked, and a statement
 * after the locks checks everything again. A sender who is not a member in the first read gets that response, after the same work
 * whether the conversation exists or not. A member who was added in between was added during the call.
 */
const appendLookingFirst = `
CREATE OR REPLACE FUNCTION append_messages(
  p_group bytea[], p_member bytea[], p_epoch bigint[], p_msg_id text[],
  p_start integer[], p_size integer[], p_bodies bytea, p_bucket_seconds integer
) RETURNS TABLE (item integer, outcome text, seq bigint, epoch bigint, received_at timestamptz)
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
         CASE n.outcome WHEN 'duplicate' THEN n.known_received ELSE v_received END
  FROM numbered n;
END $$`;

/** The function of 0002. */
const appendByTransactionId = `
CREATE OR REPLACE FUNCTION append_messages(
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
  await sql.raw(`CREATE SEQUENCE log_positions AS bigint MAXVALUE ${positionMax} NO CYCLE CACHE 1`).execute(db);
  // Above every position and every cursor: those of earlier servers are at most the id of this transaction.
  await sql`
    SELECT setval('log_positions', greatest(
      pg_current_xact_id()::text::bigint,
      (SELECT max(last_position) FROM conversation_counters),
      (SELECT max(position) FROM events)))`.execute(db);
  for (const statement of [nextLogPosition, logWriters, logHorizon, logEnd, readLog, appendLookingFirst])
    await sql.raw(statement).execute(db);
  // Identifies a dump that was restored elsewhere, which positions do not show any more. A dump that was restored before this
  // migration has positions above the transaction ids here and must still be finished with the restore command.
  await sql`ALTER TABLE cursor_generation ADD COLUMN cluster text`.execute(db);
  await sql`
    UPDATE cursor_generation SET cluster = (SELECT system_identifier::text FROM pg_control_system())
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE position > pg_current_xact_id()::text::bigint)`.execute(db);
}

/**
 * Positions are transaction ids again. They continue above the numbers of the sequence, each of which one transaction had taken.
 */
export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE cursor_generation DROP COLUMN cluster`.execute(db);
  await sql.raw(appendByTransactionId).execute(db);
  await sql`DROP FUNCTION read_log`.execute(db);
  await sql`DROP FUNCTION log_end`.execute(db);
  await sql`DROP FUNCTION log_horizon`.execute(db);
  await sql`DROP FUNCTION log_writers`.execute(db);
  await sql`DROP FUNCTION next_log_position`.execute(db);
  await sql`DROP SEQUENCE log_positions`.execute(db);
}
