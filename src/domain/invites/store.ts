import { sql } from 'kysely';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Db, Tx } from '#storage/connection/database.ts';

export interface InviteRow {
  readonly inviteId: string;
  readonly groupId: Buffer;
  readonly sealedInvite: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly maxUses: number | null;
  readonly useCount: number;
  readonly revokedAt: Date | null;
  readonly sealedRevokedBy: Buffer | null;
}

const columns = [
  'invite_id as inviteId',
  'group_id as groupId',
  'sealed_invite as sealedInvite',
  'created_at as createdAt',
  'expires_at as expiresAt',
  'max_uses as maxUses',
  'use_count as useCount',
  'revoked_at as revokedAt',
  'sealed_revoked_by as sealedRevokedBy',
] as const;

const hasEnded = sql<boolean>`(revoked_at IS NOT NULL OR expires_at <= now() OR use_count >= max_uses)`;

/** Selects the invites of a conversation, newest first. */
export async function selectInvites(db: Db, groupId: Buffer, revoked: 'with-revoked' | 'live'): Promise<InviteRow[]> {
  let query = db.selectFrom('invites').select(columns).where('group_id', '=', groupId);
  if (revoked === 'live') query = query.where('revoked_at', 'is', null);
  return query.orderBy('invite_no', 'desc').execute();
}

export async function selectInvite(db: Db, inviteId: string): Promise<InviteRow | undefined> {
  return db.selectFrom('invites').select(columns).where('invite_id', '=', inviteId).executeTakeFirst();
}

/** Selects the invites with one of these secrets that are not revoked, expired or used up, oldest first. */
export async function selectUsable(
  db: Db,
  groupId: Buffer,
  secrets: readonly Buffer[],
): Promise<Pick<InviteRow, 'inviteId' | 'sealedInvite'>[]> {
  if (secrets.length === 0) return [];
  return db
    .selectFrom('invites')
    .select(['invite_id as inviteId', 'sealed_invite as sealedInvite'])
    .where('group_id', '=', groupId)
    .where('secret', 'in', [...secrets])
    .where(sql<boolean>`${hasEnded} IS NOT TRUE`)
    .orderBy('invite_no')
    .execute();
}

export interface NewInvite {
  readonly inviteId: string;
  readonly groupId: Buffer;
  readonly secret: Buffer;
  readonly keyId: number;
  readonly sealedInvite: Buffer;
  readonly expiresAt: Date | null;
  readonly maxUses: number | null;
}

/**
 * Inserts an invite with the conversation's next invite number. The conversation's lock prevents two inserts from using
 * the same number.
 */
export async function insertInvite(tx: Tx, row: NewInvite, bucketSeconds: number): Promise<InviteRow> {
  return tx
    .insertInto('invites')
    .values((eb) => ({
      invite_id: row.inviteId,
      group_id: row.groupId,
      invite_no: eb
        .selectFrom('invites')
        .select((last) => sql<number>`coalesce(${last.fn.max('invite_no')}, 0) + 1`.as('next'))
        .where('group_id', '=', row.groupId),
      secret: row.secret,
      key_id: row.keyId,
      sealed_invite: row.sealedInvite,
      created_at: bucketedNow(bucketSeconds),
      expires_at: row.expiresAt,
      max_uses: row.maxUses,
    }))
    .returning(columns)
    .executeTakeFirstOrThrow();
}

export async function countInvites(tx: Tx, groupId: Buffer): Promise<number> {
  const row = await tx
    .selectFrom('invites')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('group_id', '=', groupId)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Deletes the invites of a conversation that can no longer be used. */
export async function deleteEnded(tx: Tx, groupId: Buffer): Promise<void> {
  await tx.deleteFrom('invites').where('group_id', '=', groupId).where(hasEnded).execute();
}

export async function updateUsed(tx: Tx, inviteId: string): Promise<void> {
  await tx
    .updateTable('invites')
    .set((eb) => ({ use_count: eb('use_count', '+', 1) }))
    .where('invite_id', '=', inviteId)
    .execute();
}

export async function updateRevoked(
  tx: Tx,
  inviteId: string,
  revocation: { sealedRevokedBy: Buffer; bucketSeconds: number },
): Promise<void> {
  await tx
    .updateTable('invites')
    .set({ revoked_at: bucketedNow(revocation.bucketSeconds), sealed_revoked_by: revocation.sealedRevokedBy })
    .where('invite_id', '=', inviteId)
    .execute();
}
