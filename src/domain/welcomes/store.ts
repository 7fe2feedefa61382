import { sql } from 'kysely';
import type { Db, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { welcomeStates } from './welcome.ts';

export interface NewWelcome {
  readonly ref: Buffer;
  readonly recipient: Buffer;
  readonly device: Buffer;
}

export async function insertWelcomes(
  tx: Tx,
  message: { groupId: Buffer; epoch: number; sealedWelcome: Buffer; keyId: number; bucketSeconds: number },
  welcomes: readonly NewWelcome[],
): Promise<void> {
  const createdAt = bucketedNow(message.bucketSeconds);
  await tx
    .insertInto('welcome_messages')
    .values({
      group_id: message.groupId,
      epoch: message.epoch,
      sealed_welcome: message.sealedWelcome,
      created_at: createdAt,
    })
    .execute();
  await tx
    .insertInto('welcomes')
    .values(
      welcomes.map((welcome) => ({
        group_id: message.groupId,
        ref: welcome.ref,
        epoch: message.epoch,
        recipient: welcome.recipient,
        device: welcome.device,
        key_id: message.keyId,
        state: welcomeStates.available,
        created_at: createdAt,
      })),
    )
    // A last-resort package may add its owner to the same group again. The newer Welcome then replaces the older one.
    .onConflict((conflict) =>
      conflict.columns(['group_id', 'ref']).doUpdateSet((eb) => ({
        epoch: eb.ref('excluded.epoch'),
        state: welcomeStates.available,
        created_at: eb.ref('excluded.created_at'),
        fetched_at: null,
        consumed_at: null,
      })),
    )
    .execute();
}

export interface PendingWelcome {
  readonly ref: Buffer;
  readonly epoch: number;
  readonly state: number;
  readonly sealedWelcome: Buffer;
}

/**
 * Selects the recipient's newest unfetched Welcome, or the newest fetched one if all were fetched. The row lock makes
 * concurrent fetches wait for each other.
 */
export async function lockNextWelcome(tx: Tx, query: RecipientQuery): Promise<PendingWelcome | undefined> {
  let pending = tx
    .selectFrom('welcomes as w')
    .innerJoin('welcome_messages as m', (join) =>
      join.onRef('m.group_id', '=', 'w.group_id').onRef('m.epoch', '=', 'w.epoch'),
    )
    .select(['w.ref', 'w.epoch', 'w.state', 'm.sealed_welcome as sealedWelcome'])
    .where('w.group_id', '=', query.groupId)
    .where('w.recipient', '=', query.recipient)
    .where('w.state', '!=', welcomeStates.consumed);
  if (query.device !== undefined) pending = pending.where('w.device', '=', query.device);
  return pending
    .orderBy('w.state')
    .orderBy('w.epoch', 'desc')
    .orderBy('w.ref')
    .limit(1)
    .forUpdate('w')
    .executeTakeFirst();
}

export async function markFetched(tx: Tx, groupId: Buffer, ref: Buffer, bucketSeconds: number): Promise<void> {
  await tx
    .updateTable('welcomes')
    .set({ state: welcomeStates.fetched, fetched_at: bucketedNow(bucketSeconds) })
    .where('group_id', '=', groupId)
    .where('ref', '=', ref)
    .execute();
}

/** Selects the device pseudonyms in `devices` for which a Welcome of the conversation is stored, in any state. */
export async function selectWelcomedDevices(
  db: Db,
  devices: readonly { groupId: Buffer; recipient: Buffer; device: Buffer }[],
): Promise<Buffer[]> {
  if (devices.length === 0) return [];
  const rows = await sql<{ device: Buffer }>`
    SELECT w.device
    FROM unnest(${byteaArray(devices.map(({ groupId }) => groupId))}::bytea[],
                ${byteaArray(devices.map(({ recipient }) => recipient))}::bytea[],
                ${byteaArray(devices.map(({ device }) => device))}::bytea[]) AS d(group_id, recipient, device)
    JOIN welcomes w ON w.group_id = d.group_id AND w.recipient = d.recipient AND w.device = d.device`.execute(db);
  return rows.rows.map(({ device }) => device);
}

/**
 * Selects the Welcomes of a recipient in one conversation, for one device or (if `device` is undefined) for all
 * devices.
 */
export interface RecipientQuery {
  readonly groupId: Buffer;
  readonly recipient: Buffer;
  readonly device: Buffer | undefined;
}

/**
 * Consumes the recipient's fetched Welcomes, or with `waiting` also the Welcomes that were not fetched yet.
 * @returns how many Welcomes were consumed.
 */
export async function consumeOfRecipient(
  db: Db,
  {
    groupId,
    recipient,
    device,
    which,
    bucketSeconds,
  }: RecipientQuery & { which: 'fetched' | 'waiting'; bucketSeconds: number },
): Promise<number> {
  let update = db
    .updateTable('welcomes')
    .set({ state: welcomeStates.consumed, consumed_at: bucketedNow(bucketSeconds) })
    .where('group_id', '=', groupId)
    .where('recipient', '=', recipient);
  update =
    which === 'fetched'
      ? update.where('state', '=', welcomeStates.fetched)
      : update.where('state', '!=', welcomeStates.consumed);
  if (device !== undefined) update = update.where('device', '=', device);
  return Number((await update.executeTakeFirst()).numUpdatedRows);
}

/** Consumes the Welcomes with these conversations and key packages, whether or not they were fetched. */
export async function consumeByRefs(
  db: Db,
  welcomes: readonly { groupId: Buffer; ref: Buffer }[],
  bucketSeconds: number,
): Promise<void> {
  if (welcomes.length === 0) return;
  await sql`
    UPDATE welcomes w SET state = ${welcomeStates.consumed}, consumed_at = ${bucketedNow(bucketSeconds)}
    FROM unnest(${byteaArray(welcomes.map(({ groupId }) => groupId))}::bytea[],
                ${byteaArray(welcomes.map(({ ref }) => ref))}::bytea[]) AS i(group_id, ref)
    WHERE w.group_id = i.group_id AND w.ref = i.ref AND w.state <> ${welcomeStates.consumed}`.execute(db);
}

/** A Welcome for one device, without its bytes. */
export interface WelcomeRow {
  readonly groupId: Buffer;
  readonly ref: Buffer;
  readonly epoch: number;
  readonly device: Buffer;
  readonly state: number;
}

/**
 * Selects the Welcomes of one person in many conversations, newest first. `recipients[i]` is the person's pseudonym in
 * `groupIds[i]`.
 */
export async function selectOfRecipient(
  db: Db,
  query: { groupIds: readonly Buffer[]; recipients: readonly Buffer[] },
): Promise<WelcomeRow[]> {
  if (query.groupIds.length === 0) return [];
  const rows = await sql<WelcomeRow>`
    SELECT w.group_id AS "groupId", w.ref, w.epoch, w.device, w.state
    FROM unnest(${byteaArray(query.groupIds)}::bytea[], ${byteaArray(query.recipients)}::bytea[]) AS p(group_id, recipient)
    JOIN welcomes w ON w.group_id = p.group_id AND w.recipient = p.recipient
    ORDER BY w.created_at DESC, w.group_id, w.epoch DESC, w.ref`.execute(db);
  return rows.rows;
}

export async function selectWelcomeMessage(db: Db, groupId: Buffer, epoch: number): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('welcome_messages')
    .select('sealed_welcome as sealedWelcome')
    .where('group_id', '=', groupId)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  return row?.sealedWelcome;
}
