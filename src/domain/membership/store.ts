import { sql } from 'kysely';
import type { Db, Tx } from '#storage/database.ts';
import { bucketedNow } from '#storage/bucketed-now.ts';
import { byteaArray } from '#storage/bytea-array.ts';
import { memberStates } from './member.ts';
import type { Membership, MemberState, Role } from './member.ts';

const membershipColumns = [
  'member',
  'role',
  'state',
  'joined_seq as joinedSeq',
  'joined_event as joinedEvent',
  'left_event as leftEvent',
] as const;

export async function selectMembership(db: Db, groupId: Buffer, member: Buffer): Promise<Membership | undefined> {
  return db
    .selectFrom('members')
    .select(membershipColumns)
    .where('group_id', '=', groupId)
    .where('member', '=', member)
    .executeTakeFirst();
}

/** The rows of `members` (pseudonyms) in the conversation, whatever their state. */
export async function selectMemberships(db: Db, groupId: Buffer, members: readonly Buffer[]): Promise<Membership[]> {
  if (members.length === 0) return [];
  return db
    .selectFrom('members')
    .select(membershipColumns)
    .where('group_id', '=', groupId)
    .where('member', 'in', [...members])
    .execute();
}

/** Rows of many (conversation, person) pairs, for the live stream and replay. */
export async function selectMembershipPairs(
  db: Db,
  pairs: { groupIds: readonly Buffer[]; members: readonly Buffer[] },
): Promise<(Membership & { groupId: Buffer })[]> {
  if (pairs.groupIds.length === 0) return [];
  const rows = await sql<Membership & { groupId: Buffer }>`
    SELECT m.group_id AS "groupId", m.member, m.role, m.state, m.joined_seq AS "joinedSeq",
           m.joined_event AS "joinedEvent", m.left_event AS "leftEvent"
    FROM unnest(${byteaArray(pairs.groupIds)}::bytea[], ${byteaArray(pairs.members)}::bytea[]) AS p(group_id, member)
    JOIN members m ON m.group_id = p.group_id AND m.member = p.member`.execute(db);
  return rows.rows;
}

export async function selectActiveMembers(
  db: Db,
  groupIds: readonly Buffer[],
): Promise<{ groupId: Buffer; member: Buffer; sealedDid: Buffer; role: number; joinedAt: Date }[]> {
  if (groupIds.length === 0) return [];
  return db
    .selectFrom('members')
    .select(['group_id as groupId', 'member', 'sealed_did as sealedDid', 'role', 'joined_at as joinedAt'])
    .where('group_id', 'in', [...groupIds])
    .where('state', '=', memberStates.active)
    .orderBy('group_id')
    .orderBy('joined_event')
    .orderBy('member')
    .execute();
}

/** Active members of each conversation, to page lists by their cost. */
export async function countActiveMembers(db: Db, groupId: Buffer): Promise<number> {
  const row = await db
    .selectFrom('members')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('group_id', '=', groupId)
    .where('state', '=', memberStates.active)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** Other active admins than `member`. Exact only under the conversation's lock. */
export async function countOtherAdmins(tx: Tx, groupId: Buffer, member: Buffer, adminRole: Role): Promise<number> {
  const row = await tx
    .selectFrom('members')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('group_id', '=', groupId)
    .where('state', '=', memberStates.active)
    .where('role', '=', adminRole)
    .where('member', '!=', member)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export interface NewMember {
  readonly member: Buffer;
  readonly sealedDid: Buffer;
  readonly role: Role;
  readonly joinedEvent: number;
}

/** Inserts members, or brings former members back; call it only with people who are not active. */
export async function upsertMembers(
  tx: Tx,
  group: { groupId: Buffer; joinedSeq: number; keyId: number; bucketSeconds: number },
  members: readonly NewMember[],
): Promise<void> {
  if (members.length === 0) return;
  await tx
    .insertInto('members')
    .values(
      members.map((row) => ({
        group_id: group.groupId,
        member: row.member,
        key_id: group.keyId,
        sealed_did: row.sealedDid,
        role: row.role,
        state: memberStates.active,
        joined_at: bucketedNow(group.bucketSeconds),
        joined_seq: group.joinedSeq,
        joined_event: row.joinedEvent,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['group_id', 'member']).doUpdateSet((eb) => ({
        key_id: eb.ref('excluded.key_id'),
        sealed_did: eb.ref('excluded.sealed_did'),
        role: eb.ref('excluded.role'),
        state: memberStates.active,
        joined_at: eb.ref('excluded.joined_at'),
        joined_seq: eb.ref('excluded.joined_seq'),
        joined_event: eb.ref('excluded.joined_event'),
        left_event: null,
      })),
    )
    .execute();
}

export async function updateDeparture(
  tx: Tx,
  groupId: Buffer,
  departure: { member: Buffer; state: MemberState; leftEvent: number },
): Promise<void> {
  await tx
    .updateTable('members')
    .set({ state: departure.state, left_event: departure.leftEvent })
    .where('group_id', '=', groupId)
    .where('member', '=', departure.member)
    .execute();
}
