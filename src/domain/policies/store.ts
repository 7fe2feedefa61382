import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import type { Policy } from './policy.ts';

export interface PolicyRow extends Policy {
  readonly sealedUpdatedBy: Buffer;
  readonly updatedAt: Date;
}

export async function selectPolicy(db: Db, groupId: Buffer): Promise<PolicyRow | undefined> {
  return db
    .selectFrom('policies')
    .select([
      'allow_invites as allowInvites',
      'admin_only_invites as adminOnlyInvites',
      'allow_member_add as allowMemberAdd',
      'allow_member_remove as allowMemberRemove',
      'require_admin_approval as requireAdminApproval',
      'max_members as maxMembers',
      'handshakes',
      'sealed_updated_by as sealedUpdatedBy',
      'updated_at as updatedAt',
    ])
    .where('group_id', '=', groupId)
    .executeTakeFirst();
}

/** Stores the conversation's policy and returns the stored time of the change. */
export async function upsertPolicy(
  tx: Tx,
  groupId: Buffer,
  row: Policy & { sealedUpdatedBy: Buffer; bucketSeconds: number },
): Promise<Date> {
  const values = {
    allow_invites: row.allowInvites,
    admin_only_invites: row.adminOnlyInvites,
    allow_member_add: row.allowMemberAdd,
    allow_member_remove: row.allowMemberRemove,
    require_admin_approval: row.requireAdminApproval,
    max_members: row.maxMembers,
    handshakes: row.handshakes,
    sealed_updated_by: row.sealedUpdatedBy,
    updated_at: bucketedNow(row.bucketSeconds),
  };
  const stored = await tx
    .insertInto('policies')
    .values({ group_id: groupId, ...values })
    .onConflict((conflict) => conflict.column('group_id').doUpdateSet(values))
    .returning('updated_at as updatedAt')
    .executeTakeFirstOrThrow();
  return stored.updatedAt;
}
