import type { Sql } from '#storage/connection/database.ts';

/** Statements that insert `$1` rows each, expired or unexpired depending on `$2`. */
const planters: Readonly<Record<string, string>> = {
  replay_entries: `INSERT INTO replay_entries (digest, expires_at)
    SELECT uuid_send(gen_random_uuid()), now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  idempotency_keys: `INSERT INTO idempotency_keys (digest, input_digest, expires_at)
    SELECT uuid_send(gen_random_uuid()), '\\x00', now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  device_additions: `INSERT INTO device_additions (addition, key_id, sealed_claim, expires_on)
    SELECT uuid_send(gen_random_uuid()), 1, '\\x00', now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  invites: `INSERT INTO invites (invite_id, group_id, invite_no, secret, key_id, sealed_invite, created_at, expires_at)
    SELECT gen_random_uuid(), uuid_send(gen_random_uuid()), 1, '\\x00', 1, '\\x00', now(), now() + $2::integer * interval '40 days'
    FROM generate_series(1, $1::integer)`,
  chat_requests: `INSERT INTO chat_requests
      (request_id, recipient, pair, key_id, state, sealed_request, message_count, created_at, expires_at, kept_until)
    SELECT gen_random_uuid(), '\\x00', uuid_send(gen_random_uuid()), 1, 1, '\\x00', 0, now(), now() + interval '1 day',
           now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  reports: `INSERT INTO reports (report_id, group_id, report_no, category, state, sealed_parties, sealed_content, submitted_at)
    SELECT gen_random_uuid(), uuid_send(gen_random_uuid()), 1, 1, 1, '\\x00', '\\x00',
           now() - interval '20 days' + $2::integer * interval '19 days' FROM generate_series(1, $1::integer)`,
  warnings: `INSERT INTO warnings (group_id, event_no, sealed_warning, expires_at)
    SELECT uuid_send(gen_random_uuid()), 1, '\\x00', now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  key_packages: `INSERT INTO key_packages
      (ref, owner, key_id, device_tag, cipher_suite, last_resort, state, sealed_did, sealed_package, published_at, expires_at)
    SELECT uuid_send(gen_random_uuid()), '\\x00', 1, uuid_send(gen_random_uuid()), 1, false, 1, '\\x00', '\\x00', now(),
           now() + $2::integer * interval '1 day' FROM generate_series(1, $1::integer)`,
  welcome_messages: `WITH made AS (
      INSERT INTO welcome_messages (group_id, epoch, sealed_welcome, created_at)
      SELECT uuid_send(gen_random_uuid()), 1, '\\x00', now() - interval '60 days' + $2::integer * interval '50 days'
      FROM generate_series(1, $1::integer) RETURNING *)
    INSERT INTO welcomes (group_id, ref, epoch, recipient, device, key_id, state, created_at, consumed_at)
    SELECT group_id, '\\x00', epoch, '\\x00', '\\x00', 1, 3, created_at, now() - interval '8 days' + ($2::integer + 1) * interval '4 days'
    FROM made`,
};

export const plantedTables = Object.keys(planters);

/** Inserts rows of every table whose rows a job removes one by one. */
export async function plantRows(sql: Sql, kind: 'expired' | 'living', countPerTable: number): Promise<void> {
  for (const statement of Object.values(planters)) {
    await sql.unsafe(statement, [countPerTable, kind === 'expired' ? -1 : 1]);
  }
}

export async function countPlanted(sql: Sql): Promise<Record<string, number>> {
  const counts = plantedTables.map(async (table) => {
    const [row] = await sql<{ count: number }[]>`SELECT count(*) FROM ${sql(table)}`;
    return [table, Number(row?.count)] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}
