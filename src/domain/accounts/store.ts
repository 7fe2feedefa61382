import { sql } from 'kysely';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import type { NewAccount } from './account.ts';

export interface AccountRow {
  readonly account: Buffer;
  readonly sealedList: Buffer;
}

/** A change of membership that the person's conversation list does not contain yet. */
export interface ListChange {
  readonly groupId: Buffer;
  /** The member's pseudonym in the table `members`. */
  readonly member: Buffer;
}

/**
 * Selects the list of an account and the pending changes of all people. One statement reads both, so that it cannot
 * miss a change that is moved into the list in the meantime.
 */
export async function selectListAndChanges(
  db: Db,
  account: Buffer,
): Promise<{ sealedList: Buffer | undefined; changes: ListChange[] }> {
  const { rows } = await sql<{ sealedList: Buffer | null; groupId: Buffer | null; member: Buffer | null }>`
    SELECT sealed_list AS "sealedList", NULL::bytea AS "groupId", NULL::bytea AS member FROM accounts WHERE account = ${account}
    UNION ALL SELECT NULL, group_id, member FROM conversation_list_changes`.execute(db);
  return {
    sealedList: rows.find(({ sealedList }) => sealedList !== null)?.sealedList ?? undefined,
    changes: rows.flatMap(({ groupId, member }) => (groupId === null || member === null ? [] : [{ groupId, member }])),
  };
}

export async function insertListChanges(tx: Tx, groupId: Buffer, members: readonly Buffer[]): Promise<void> {
  await sql`
    INSERT INTO conversation_list_changes (change_id, group_id, member)
    SELECT gen_random_uuid(), ${groupId}, i.member FROM unnest(${byteaArray(members)}::bytea[]) AS i(member)`.execute(
    tx,
  );
}

/** Selects the accounts whose sealed list is longer than `sizeBytes`. */
export async function selectLongLists(db: Db, accounts: readonly Buffer[], sizeBytes: number): Promise<Buffer[]> {
  const { rows } = await sql<{ account: Buffer }>`
    SELECT account FROM accounts
    WHERE account = ANY (${byteaArray(accounts)}::bytea[]) AND octet_length(sealed_list) > ${sizeBytes}::integer`.execute(
    db,
  );
  return rows.map(({ account }) => account);
}

/**
 * Selects pending changes, at most `max` in total and at most `perConversationMax` of each conversation, which are
 * chosen at random.
 */
export async function selectListChanges(
  db: Db,
  max: number,
  perConversationMax: number,
): Promise<(ListChange & { changeId: string })[]> {
  const { rows } = await sql<ListChange & { changeId: string }>`
    SELECT change_id AS "changeId", group_id AS "groupId", member
    FROM (SELECT *, row_number() OVER (PARTITION BY group_id ORDER BY change_id) AS number FROM conversation_list_changes) c
    WHERE number <= ${perConversationMax} LIMIT ${max}`.execute(db);
  return rows;
}

export async function deleteListChanges(db: Db, changeIds: readonly string[]): Promise<void> {
  await sql`DELETE FROM conversation_list_changes WHERE change_id = ANY (${`{${changeIds.join(',')}}`}::uuid[])`.execute(
    db,
  );
}

/** Greater than the number of `accounts` rows that fit on one page. */
const slotsPerPage = 32;

/**
 * Selects about `count` random accounts, each with the same probability, by drawing random row positions. Drawing a
 * random pseudonym and taking the next row would prefer rows after a wide gap and make them distinguishable.
 */
export async function selectRandomAccounts(db: Db, count: number): Promise<Buffer[]> {
  const { rows } = await sql<{ account: Buffer }>`
    SELECT account FROM accounts WHERE ctid = ANY (ARRAY (
      SELECT format('(%s,%s)', floor(random() * pages), 1 + floor(random() * ${slotsPerPage}))::tid
      FROM (SELECT pg_relation_size('accounts') / current_setting('block_size')::integer AS pages) p,
           generate_series(1, ${count * slotsPerPage}::integer)
      WHERE pages > 0))
    ORDER BY random() LIMIT ${count}`.execute(db);
  return rows.map(({ account }) => account);
}

/** Inserts the rows that are missing, in the order of pseudonyms to prevent deadlocks between two transactions. */
export async function insertMissingAccounts(db: Db, keyId: number, rows: readonly NewAccount[]): Promise<void> {
  await sql`
    INSERT INTO accounts (account, key_id, sealed_did, sealed_list, sealed_settings)
    SELECT i.account, ${keyId}::smallint, i.sealed_did, i.sealed_list, i.sealed_settings
    FROM unnest(${byteaArray(rows.map((row) => row.account))}::bytea[], ${byteaArray(rows.map((row) => row.sealedDid))}::bytea[],
                ${byteaArray(rows.map((row) => row.sealedList))}::bytea[], ${byteaArray(rows.map((row) => row.sealedSettings))}::bytea[])
         AS i(account, sealed_did, sealed_list, sealed_settings)
    ORDER BY i.account ON CONFLICT (account) DO NOTHING`.execute(db);
}

/** Locks accounts in the order of their pseudonyms to prevent deadlocks. */
export async function lockAccounts(tx: Tx, accounts: readonly Buffer[]): Promise<AccountRow[]> {
  return tx
    .selectFrom('accounts')
    .select(['account', 'sealed_list as sealedList'])
    .where('account', 'in', [...accounts])
    .orderBy('account')
    .forNoKeyUpdate()
    .execute();
}

export async function updateLists(tx: Tx, keyId: number, rows: readonly AccountRow[]): Promise<void> {
  await sql`
    UPDATE accounts a SET sealed_list = i.sealed_list, key_id = ${keyId}::smallint, mixed = true
    FROM unnest(${byteaArray(rows.map((row) => row.account))}::bytea[], ${byteaArray(rows.map((row) => row.sealedList))}::bytea[])
         AS i(account, sealed_list)
    WHERE a.account = i.account`.execute(tx);
}

export interface SettingsRow {
  readonly account: Buffer;
  readonly sealedSettings: Buffer | null;
}

export async function selectSettings(db: Db, accounts: readonly Buffer[]): Promise<SettingsRow[]> {
  if (accounts.length === 0) return [];
  return db
    .selectFrom('accounts')
    .select(['account', 'sealed_settings as sealedSettings'])
    .where('account', 'in', [...accounts])
    .execute();
}

export async function lockSettings(tx: Tx, account: Buffer): Promise<SettingsRow | undefined> {
  return tx
    .selectFrom('accounts')
    .select(['account', 'sealed_settings as sealedSettings'])
    .where('account', '=', account)
    .forNoKeyUpdate()
    .executeTakeFirst();
}

export async function updateSettings(tx: Tx, account: Buffer, sealedSettings: Buffer): Promise<void> {
  await tx.updateTable('accounts').set({ sealed_settings: sealedSettings }).where('account', '=', account).execute();
}
