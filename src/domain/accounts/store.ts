import { sql } from 'kysely';
import { byteaArray } from '#storage/bytea-array.ts';
import type { Db, Tx } from '#storage/database.ts';
import type { NewAccount } from './account.ts';

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
export async function insertMissingAccounts(db: Db, keyId: number, rows: readonly NewAccount[]): Promise<void> {
  await sql`
    INSERT INTO accounts (account, key_id, sealed_did, sealed_list, sealed_settings)
    SELECT i.account, ${keyId}::smallint, i.sealed_did, i.sealed_list, i.sealed_settings
    FROM unnest(${byteaArray(rows.map((row) => row.account))}::bytea[], ${byteaArray(rows.map((row) => row.sealedDid))}::bytea[],
                ${byteaArray(rows.map((row) => row.sealedList))}::bytea[], ${byteaArray(rows.map((row) => row.sealedSettings))}::bytea[])
         AS i(account, sealed_did, sealed_list, sealed_settings)
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
