import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/**
 * `charge_quotas` of migration 0009 with a fourth act: 4 records a cost that a server has admitted already, even without room. The next
 * charge then waits at most one window, as after `record` of src/quota/stores/gcra.ts (docs/decisions/0033).
 */
const createFunction = `
CREATE FUNCTION count_quotas(
  p_act integer[], p_current bytea[], p_former bytea[], p_next bytea[], p_limit double precision[],
  p_burst double precision[], p_width double precision[], p_cost double precision[], p_at double precision[],
  p_ago double precision[]
) RETURNS TABLE (item integer, allowed boolean, remaining integer, wait_ms double precision, restored_in_ms double precision)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  r record;
  v_clock double precision;
  v_now double precision;
  v_place bytea[];
  v_row bytea;
  v_dirty boolean := false;
  v_due double precision;
  v_first bigint;
  v_counts integer[];
  v_was_due double precision;
  v_was_first bigint;
  v_were integer[];
  v_total bigint;
  v_slot bigint;
  v_at integer;
  v_count integer;
  v_left double precision;
  v_excess double precision;
  v_width double precision;
  v_interval double precision;
  v_clear double precision;
BEGIN
  INSERT INTO quota_rows AS q (name, expires_at)
  SELECT n.name, to_timestamp(floor(extract(epoch FROM clock_timestamp()) / 300) * 300)
  FROM (SELECT unnest(p_current) UNION SELECT unnest(p_former) UNION SELECT unnest(p_next)) AS n (name)
  WHERE n.name IS NOT NULL ORDER BY n.name
  ON CONFLICT (name) DO UPDATE SET expires_at = q.expires_at WHERE false;
  v_clock := extract(epoch FROM clock_timestamp())::double precision * 1000;

  FOR r IN
    SELECT i.* FROM unnest(p_act, p_current, p_former, p_next, p_limit, p_burst, p_width, p_cost, p_at, p_ago)
      WITH ORDINALITY AS i (act, current, former, next, most, burst, width, cost, at, ago, item)
    ORDER BY i.current, i.former, i.next, i.item
  LOOP
    IF v_place IS DISTINCT FROM ARRAY[r.current, r.former, r.next] THEN
      IF v_dirty THEN
        UPDATE quota_rows AS q SET due_at = v_due, first_slot = v_first, counts = v_counts, expires_at =
          to_timestamp(ceil(greatest((v_first + cardinality(v_counts)) * v_width / 60 + v_width, v_due) / 300000) * 300) WHERE q.name = v_row;
      END IF;
      v_place := ARRAY[r.current, r.former, r.next];
      v_dirty := false;
      v_row := r.current;
      SELECT q.name, q.due_at, q.first_slot, q.counts INTO v_row, v_due, v_first, v_counts FROM quota_rows AS q
      WHERE q.name = ANY (v_place) AND q.due_at IS NOT NULL
      ORDER BY q.name = r.next DESC NULLS LAST, q.name = r.current DESC LIMIT 1;
      IF v_row IS NULL THEN
        v_row := r.current;
      ELSIF v_row = r.former THEN
        UPDATE quota_rows AS q SET due_at = NULL WHERE q.name = r.former;
        v_row := r.current;
        v_dirty := true;
      END IF;
    END IF;

    item := r.item;
    v_width := r.width;
    v_interval := r.width / r.most;
    v_now := coalesce(r.at, v_clock - r.ago);
    v_slot := floor(v_now * 60 / r.width);
    allowed := true;
    wait_ms := 0;
    IF r.act = 3 THEN
      v_at := v_slot - v_first + 1;
      CONTINUE WHEN v_due IS NULL OR v_at < 1;
      v_left := r.cost;
      FOR i IN 0 .. cardinality(v_counts) LOOP
        IF i > 0 THEN v_at := i; END IF;
        v_count := least(coalesce(v_counts[v_at], 0), v_left);
        IF v_count > 0 THEN v_counts[v_at] := v_counts[v_at] - v_count; END IF;
        v_left := v_left - v_count;
      END LOOP;
      v_due := v_due - (r.cost - v_left) * v_interval;
      v_dirty := true;
      CONTINUE;
    END IF;

    v_was_due := v_due;
    v_was_first := v_first;
    v_were := v_counts;
    IF v_due IS NULL OR v_first > v_slot + 60 THEN
      v_due := v_now;
      v_first := v_slot;
      v_counts := '{}';
    ELSIF v_first < v_slot - 60 THEN
      v_counts := v_counts[least(v_slot - 60 - v_first, cardinality(v_counts)) + 1 :];
      v_first := v_slot - 60;
    END IF;
    v_total := 0;
    FOREACH v_count IN ARRAY v_counts LOOP v_total := v_total + v_count; END LOOP;
    wait_ms := v_due - greatest(0, least(r.burst, r.most) - r.cost) * v_interval - v_now;
    IF wait_ms <= 1e-3 THEN wait_ms := 0; END IF;
    v_excess := v_total + r.cost - r.most;
    IF v_excess > 0 THEN
      FOR i IN 1 .. cardinality(v_counts) LOOP
        v_excess := v_excess - v_counts[i];
        IF v_excess <= 0 THEN
          wait_ms := greatest(wait_ms, (v_first + i) * r.width / 60 + r.width - v_now);
          EXIT;
        END IF;
      END LOOP;
    END IF;
    allowed := wait_ms = 0;
    IF allowed OR r.act = 4 THEN
      v_at := greatest(0, v_slot - v_first) + 1;
      IF v_at > cardinality(v_counts) THEN
        v_counts := v_counts || array_fill(0, ARRAY[v_at - cardinality(v_counts)]);
      END IF;
      v_counts[v_at] := v_counts[v_at] + r.cost;
      v_total := v_total + r.cost;
      v_due := greatest(v_now, v_due) + r.cost * v_interval;
      IF r.act = 4 THEN v_due := least(v_due, v_now + r.width); END IF;
      v_dirty := v_dirty OR r.act <> 2;
    END IF;

    v_at := cardinality(v_counts);
    WHILE v_at > 0 AND v_counts[v_at] = 0 LOOP v_at := v_at - 1; END LOOP;
    v_clear := CASE WHEN v_at = 0 THEN v_now ELSE (v_first + v_at) * r.width / 60 + r.width END;
    restored_in_ms := greatest(0, v_clear - v_now, v_due - v_now);
    remaining := greatest(0, least(r.most - v_total, r.most,
      floor((v_now + greatest(0, least(r.burst, r.most) - 1) * v_interval - greatest(v_now, v_due) + 1e-3) / v_interval) + 1));
    IF r.act = 2 OR NOT allowed AND r.act <> 4 THEN
      v_due := v_was_due;
      v_first := v_was_first;
      v_counts := v_were;
    END IF;
    RETURN NEXT;
  END LOOP;
  IF v_dirty THEN
    UPDATE quota_rows AS q SET due_at = v_due, first_slot = v_first, counts = v_counts, expires_at =
      to_timestamp(ceil(greatest((v_first + cardinality(v_counts)) * v_width / 60 + v_width, v_due) / 300000) * 300) WHERE q.name = v_row;
  END IF;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(createFunction).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION count_quotas`.execute(db);
}
