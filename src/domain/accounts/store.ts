import { sql } from 'kysely';
import { byteaArray } from '#storage/bytea-array.ts';
import type { Db, Tx } from '#storage/database.ts';

export interface AccountRow {
  readonly account: Buffer;
  readonly sealedList: Buffer;
}

export async function selectAccount(db: Db, account: Buffer): Promise<AccountRow | undefined> {
  return db
    .selectFrom('accounts')
    .select(['account', 'sealed_list as sealedList'])
    .where('account', '=', account)
    .executeTakeFirst();
}

/** Adds rows for people who have none; the order of the pseudonyms keeps two transactions from deadlocking. */
export async function insertMissingAccounts(
  db: Db,
  keyId: number,
  rows: readonly { account: Buffer; sealedDid: Buffer; sealedList: Buffer }[],
): Promise<void> {
  await sql`
    INSERT INTO accounts (account, key_id, sealed_did, sealed_list)
    SELECT i.account, ${keyId}::smallint, i.sealed_did, i.sealed_list
    FROM unnest(${byteaArray(rows.map((row) => row.account))}::bytea[], ${byteaArray(rows.map((row) => row.sealedDid))}::bytea[],
                ${byteaArray(rows.map((row) => row.sealedList))}::bytea[]) AS i(account, sealed_did, sealed_list)
    ORDER BY i.account ON CONFLICT (account) DO NOTHING`.execute(db);
}

/** Locks in pseudonym order. */
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
    UPDATE accounts a SET sealed_list = i.sealed_list, key_id = ${keyId}::smallint
    FROM unnest(${byteaArray(rows.map((row) => row.account))}::bytea[], ${byteaArray(rows.map((row) => row.sealedList))}::bytea[])
         AS i(account, sealed_list)
    WHERE a.account = i.account`.execute(tx);
}
