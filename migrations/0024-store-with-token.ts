import { sql } from 'kysely';
import type { Kysely } from 'kysely';

export const effect = 'expands';

/*
 * Functions that record the use of a token and store its message in one transaction, so that a send needs one round trip
 * (docs/decisions/0032). The result `token` is 'first', 'replayed', or 'undecided' for a token that is revoked, is older than the
 * record of used tokens, or when there is no record; only a 'first' token stores its message.
 *
 * Entries of tokens are inserted in the order of their digests and before a conversation is locked, so that two transactions with the
 * same digests and conversations do not deadlock. A digest that another transaction has inserted waits for the end of that
 * transaction: the primary key of replay_entries lets one of them be the first.
 */
const storeMessageWithToken = `
CREATE FUNCTION store_message_with_token(
  p_digest bytea, p_expires_at float8, p_account bytea, p_issued_at float8,
  p_group bytea, p_member bytea, p_epoch bigint, p_msg_id text, p_body bytea, p_bucket_seconds integer,
  OUT token text, OUT outcome text, OUT seq bigint, OUT epoch bigint, OUT received_at timestamptz,
  OUT "position" bigint, OUT event_no bigint
) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_rows integer;
BEGIN
  PERFORM 1 FROM replay_birth r
  WHERE r.born_at <= to_timestamp(p_issued_at) AND NOT EXISTS (
    SELECT 1 FROM token_not_before b WHERE b.account = p_account AND b.not_before > to_timestamp(p_issued_at));
  IF NOT FOUND THEN
    token := 'undecided';
    RETURN;
  END IF;
  INSERT INTO replay_entries (digest, expires_at) VALUES (p_digest, to_timestamp(p_expires_at)) ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_rows = 0 THEN
    token := 'replayed';
    RETURN;
  END IF;
  token := 'first';
  SELECT s.outcome, s.seq, s.epoch, s.received_at, s.position, s.event_no
  INTO store_message_with_token.outcome, store_message_with_token.seq, store_message_with_token.epoch,
       store_message_with_token.received_at, store_message_with_token.position, store_message_with_token.event_no
  FROM store_message(p_group, p_member, p_epoch, p_msg_id, p_body, p_bucket_seconds) s;
END $$`;

const storeMessagesWithTokens = `
CREATE FUNCTION store_messages_with_tokens(
  p_digest bytea[], p_expires_at float8[], p_account bytea[], p_issued_at float8[],
  p_group bytea[], p_member bytea[], p_epoch bigint[], p_msg_id text[], p_body bytea[], p_bucket_seconds integer
) RETURNS TABLE (item integer, token text, outcome text, seq bigint, epoch bigint, received_at timestamptz,
                 "position" bigint, event_no bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  v_decided integer[];
  v_first integer[];
BEGIN
  SELECT array_agg(t.item ORDER BY t.item) INTO v_decided
  FROM replay_birth r CROSS JOIN unnest(p_account, p_issued_at) WITH ORDINALITY AS t(account, issued_at, item)
  WHERE r.born_at <= to_timestamp(t.issued_at) AND NOT EXISTS (
    SELECT 1 FROM token_not_before b WHERE b.account = t.account AND b.not_before > to_timestamp(t.issued_at));
  WITH entries AS MATERIALIZED (
    SELECT p_digest[i.item] AS digest, min(i.item) AS item FROM unnest(v_decided) AS i(item) GROUP BY p_digest[i.item]
  ), inserted AS (
    INSERT INTO replay_entries (digest, expires_at)
    SELECT e.digest, to_timestamp(p_expires_at[e.item]) FROM entries e ORDER BY e.digest
    ON CONFLICT DO NOTHING RETURNING digest
  )
  SELECT array_agg(e.item ORDER BY e.item) INTO v_first FROM inserted n JOIN entries e ON e.digest = n.digest;
  IF cardinality(v_first) = cardinality(p_digest) THEN
    RETURN QUERY SELECT s.item, 'first', s.outcome, s.seq, s.epoch, s.received_at, s.position, s.event_no
    FROM store_messages(p_group, p_member, p_epoch, p_msg_id, p_body, p_bucket_seconds) s;
    RETURN;
  END IF;
  RETURN QUERY SELECT i.item, CASE WHEN i.item = ANY (v_decided) THEN 'replayed' ELSE 'undecided' END,
                      NULL::text, NULL::bigint, NULL::bigint, NULL::timestamptz, NULL::bigint, NULL::bigint
  FROM generate_series(1, cardinality(p_digest)) AS i(item) WHERE NOT i.item = ANY (coalesce(v_first, '{}'));
  IF v_first IS NOT NULL THEN
    RETURN QUERY SELECT v_first[s.item], 'first', s.outcome, s.seq, s.epoch, s.received_at, s.position, s.event_no
    FROM store_messages(
      ARRAY(SELECT p_group[i.item] FROM unnest(v_first) WITH ORDINALITY AS i(item, nth) ORDER BY i.nth),
      ARRAY(SELECT p_member[i.item] FROM unnest(v_first) WITH ORDINALITY AS i(item, nth) ORDER BY i.nth),
      ARRAY(SELECT p_epoch[i.item] FROM unnest(v_first) WITH ORDINALITY AS i(item, nth) ORDER BY i.nth),
      ARRAY(SELECT p_msg_id[i.item] FROM unnest(v_first) WITH ORDINALITY AS i(item, nth) ORDER BY i.nth),
      ARRAY(SELECT p_body[i.item] FROM unnest(v_first) WITH ORDINALITY AS i(item, nth) ORDER BY i.nth),
      p_bucket_seconds) s;
  END IF;
END $$`;

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [storeMessageWithToken, storeMessagesWithTokens]) await sql.raw(statement).execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`DROP FUNCTION store_message_with_token`.execute(db);
  await sql`DROP FUNCTION store_messages_with_tokens`.execute(db);
}
