import type { Sql } from '#storage/connection/database.ts';

const rows = 'FROM generate_series(1, 7)';

/** One statement for each class of expiring rows that `plantRows` does not insert. */
const planters: readonly string[] = [
  `CREATE TABLE messages_20200101_20200105 PARTITION OF messages FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-05Z')`,
  `INSERT INTO messages (group_id, seq, epoch, kind, msg_id, received_at, body)
    SELECT uuid_send(gen_random_uuid()), 1, 1, 1, 'm', '2020-01-02Z', '\\x00' ${rows}`,
  'ANALYZE messages_20200101_20200105',
  `CREATE TABLE events_20200101_20200102 PARTITION OF events FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')`,
  `INSERT INTO events (group_id, position, event_no, received_at, kind)
    SELECT uuid_send(gen_random_uuid()), 1, 1, '2020-01-01T12:00Z', 1 ${rows}`,
  'ANALYZE events_20200101_20200102',
  // Consumed key packages whose lifetime has also ended.
  `INSERT INTO key_packages
      (ref, owner, key_id, device_tag, cipher_suite, last_resort, state, sealed_did, sealed_package, published_at, expires_at, consumed_at)
    SELECT uuid_send(gen_random_uuid()), '\\x00', 1, '\\x00', 1, false, 3, '\\x00', '\\x00', now(),
           now() + (n - 4) * interval '1 hour', now() - interval '2 days' FROM generate_series(1, 7) n`,
  // A device with more key packages than are stored; some of them have expired too.
  `INSERT INTO key_packages
      (ref, owner, key_id, device_tag, cipher_suite, last_resort, state, sealed_did, sealed_package, published_at, expires_at)
    SELECT uuid_send(gen_random_uuid()), '\\x01', 1, '\\x01', 1, false, 1, '\\x00', '\\x00', now() - n * interval '1 minute',
           now() + (206 - n) * interval '1 hour' FROM generate_series(1, 209) n`,
  `INSERT INTO devices (device_id, owner, key_id, tag, sealed_device, registered_at, last_seen_at, inactive_since)
    SELECT gen_random_uuid(), '\\x02', 1, uuid_send(gen_random_uuid()), '\\x00', now(), '2020-01-01Z', '2020-04-01Z' ${rows}`,
  `INSERT INTO key_packages
      (ref, owner, key_id, device_tag, cipher_suite, last_resort, state, sealed_did, sealed_package, published_at, expires_at)
    SELECT uuid_send(gen_random_uuid()), '\\x02', 1, tag, 1, false, 1, '\\x00', '\\x00', now(), now() + interval '1 day'
    FROM devices WHERE owner = '\\x02'`,
  // Waiting additions of active devices.
  `INSERT INTO devices (device_id, owner, key_id, tag, sealed_device, registered_at, last_seen_at, sealed_waiting, waiting_since)
    SELECT gen_random_uuid(), '\\x03', 1, uuid_send(gen_random_uuid()), '\\x00', now(), now(), '\\x00', now() - interval '31 days' ${rows}`,
  // One Welcome for two people, one of whom has used it, and a Welcome that has not expired.
  `INSERT INTO welcome_messages (group_id, epoch, sealed_welcome, created_at)
    VALUES ('\\x01', 1, '\\x00', now() - interval '100 days'), ('\\x02', 1, '\\x00', now() - interval '2 days')`,
  `INSERT INTO welcomes (group_id, ref, epoch, recipient, device, key_id, state, created_at, consumed_at)
    VALUES ('\\x01', '\\x01', 1, '\\x01', '\\x01', 1, 1, now() - interval '100 days', NULL),
           ('\\x01', '\\x02', 1, '\\x02', '\\x02', 1, 3, now() - interval '100 days', now() - interval '99 days'),
           ('\\x02', '\\x01', 1, '\\x01', '\\x01', 1, 2, now() - interval '2 days', NULL)`,
  `WITH made AS (
      INSERT INTO chat_requests
        (request_id, recipient, pair, key_id, state, sealed_request, message_count, created_at, expires_at, kept_until)
      SELECT gen_random_uuid(), '\\x01', uuid_send(gen_random_uuid()), 1, 1, '\\x00', 1, now(), now() - interval '1 day',
             now() + interval '6 days' ${rows} RETURNING request_id)
    INSERT INTO chat_request_messages (request_id, sequence, sealed_message) SELECT request_id, 1, '\\x00' FROM made`,
  `INSERT INTO token_not_before (account, sealed_did, not_before, expires_at)
    VALUES ('\\x01', '\\x00', now(), now() - interval '1 minute'), ('\\x02', '\\x00', 'infinity', 'infinity')`,
  `INSERT INTO quota_rows (name, expires_at)
    SELECT uuid_send(gen_random_uuid()), now() - interval '1 minute' ${rows}`,
  `INSERT INTO removal_counts (group_id, day, removals)
    SELECT uuid_send(gen_random_uuid()), current_date - 28 - n, 1 FROM generate_series(1, 7) n`,
  `INSERT INTO audit_events (bucket, kind, subject, count)
    SELECT now() - n * interval '30 days', 'server', 'started', 1 FROM generate_series(1, 7) n`,
  `INSERT INTO operator_actions (action_no, taken_at, action, subject, key_id, previous_digest, digest)
    SELECT n, now() - interval '100 days', 'jobs.run', 'clean-invites', 1, '\\x00', '\\x00' FROM generate_series(1, 7) n`,
  `INSERT INTO operator_actions (action_no, taken_at, action, subject, key_id, previous_digest, digest)
    VALUES (8, now(), 'jobs.run', 'clean-invites', 1, '\\x00', '\\x00')`,
];

/** Inserts expired and unexpired rows of each class; some rows are removed for two reasons. */
export async function insertExpiringClasses(sql: Sql): Promise<void> {
  for (const statement of planters) await sql.unsafe(statement);
}
