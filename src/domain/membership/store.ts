import { sql } from 'kysely';
import type { Db, Tx } from '#storage/connection/database.ts';
import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import { byteaArray } from '#storage/sql/bytea-array.ts';
import { memberStates, roles } from './member.ts';
import type { Membership, MemberState, Role } from './member.ts';

const membershipColumns = [
  'member',
  'role',
  'state',
  'joined_seq as joinedSeq',
  'joined_event as joinedEvent',
  'left_event as leftEvent',
  'removal_pending as removalPending',
  'needs_rejoin as needsRejoin',
] as const;

export async function selectMembership(db: Db, groupId: Buffer, member: Buffer): Promise<Membership | undefined> {
  return db
    .selectFrom('members')
    .select(membershipColumns)
    .where('group_id', '=', groupId)
    .where('member', '=', member)
    .executeTakeFirst();
}

/** Selects the memberships of the pseudonyms `members` in the conversation, whether active or ended. */
export async function selectMemberships(
  db: Db,
  groupId: Buffer,
  members: readonly Buffer[],
): Promise<(Membership & { readonly requestedReaddition: boolean })[]> {
  if (members.length === 0) return [];
  const hasRequested = sql<boolean>`needs_rejoin OR coalesce(readdition_asked_at > now() - interval '7 days', false)`;
  return db
    .selectFrom('members')
    .select([...membershipColumns, hasRequested.as('requestedReaddition')])
    .where('group_id', '=', groupId)
    .where('member', 'in', [...members])
    .execute();
}

/** Selects the memberships of many pairs of conversation and pseudonym in one query. */
export async function selectMembershipPairs(
  db: Db,
  pairs: { groupIds: readonly Buffer[]; members: readonly Buffer[] },
): Promise<(Membership & { groupId: Buffer })[]> {
  if (pairs.groupIds.length === 0) return [];
  const rows = await sql<Membership & { groupId: Buffer }>`
    SELECT m.group_id AS "groupId", m.member, m.role, m.state, m.joined_seq AS "joinedSeq",
           m.joined_event AS "joinedEvent", m.left_event AS "leftEvent",
           m.removal_pending AS "removalPending", m.needs_rejoin AS "needsRejoin"
    FROM unnest(${byteaArray(pairs.groupIds)}::bytea[], ${byteaArray(pairs.members)}::bytea[]) AS p(group_id, member)
    JOIN members m ON m.group_id = p.group_id AND m.member = p.member`.execute(db);
  return rows.rows;
}

/** Selects the sealed DIDs and states of memberships. A pair that is listed twice is returned once. */
export async function selectSealedMembers(
  db: Db,
  pairs: { groupIds: readonly Buffer[]; members: readonly Buffer[] },
): Promise<{ groupId: Buffer; member: Buffer; sealedDid: Buffer; state: number }[]> {
  const { rows } = await sql<{ groupId: Buffer; member: Buffer; sealedDid: Buffer; state: number }>`
    SELECT group_id AS "groupId", member, sealed_did AS "sealedDid", state FROM members WHERE (group_id, member) IN (
      SELECT * FROM unnest(${byteaArray(pairs.groupIds)}::bytea[], ${byteaArray(pairs.members)}::bytea[]))`.execute(db);
  return rows;
}

/** A person with leaves in the MLS group, who is an active member or whose removal is not committed yet. */
export interface RosterRow {
  readonly groupId: Buffer;
  readonly member: Buffer;
  readonly sealedDid: Buffer;
  readonly role: number;
  readonly state: number;
  readonly joinedAt: Date;
  readonly joinedSeq: number;
  readonly promotedAt: Date | null;
}

/** Selects the rosters of conversations, each in the order of joins. */
export async function selectRosters(db: Db, groupIds: readonly Buffer[]): Promise<RosterRow[]> {
  if (groupIds.length === 0) return [];
  const { rows } = await sql<RosterRow>`
    SELECT group_id AS "groupId", member, sealed_did AS "sealedDid", role, state, joined_at AS "joinedAt",
           joined_seq AS "joinedSeq", promoted_at AS "promotedAt"
    FROM members
    WHERE group_id = ANY (${byteaArray(groupIds)}::bytea[]) AND (state = ${memberStates.active} OR removal_pending)
    ORDER BY group_id, joined_event, member`.execute(db);
  return rows;
}

/** Counts active members. The number can change before it is used unless `db` holds the conversation's lock. */
export async function countActiveMembers(db: Db, groupId: Buffer): Promise<number> {
  const row = await db
    .selectFrom('members')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('group_id', '=', groupId)
    .where('state', '=', memberStates.active)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/**
 * Counts active admins other than `member`. `tx` must hold the conversation's lock, so that the number cannot change
 * before `tx` ends.
 */
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

/**
 * Inserts members, and makes people who left or were removed active again. Call it only with people who are not active
 * members.
 */
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
        promoted_at: null,
        removal_pending: false,
        needs_rejoin: false,
      })),
    )
    .execute();
}

/** Ends a membership, and stores in `removal_pending` whether a commit must still remove the person's leaves. */
export async function updateDeparture(
  tx: Tx,
  groupId: Buffer,
  departure: { member: Buffer; state: MemberState; leftEvent: number; removal: 'committed' | 'pending' },
): Promise<void> {
  await tx
    .updateTable('members')
    .set({
      state: departure.state,
      left_event: departure.leftEvent,
      removal_pending: departure.removal === 'pending',
    })
    .where('group_id', '=', groupId)
    .where('member', '=', departure.member)
    .execute();
}

/** Sets a member's role. @returns the stored time of the change; null for the role `member`. */
export async function updateRole(
  tx: Tx,
  groupId: Buffer,
  change: { member: Buffer; role: Role; bucketSeconds: number },
): Promise<Date | null> {
  const row = await tx
    .updateTable('members')
    .set({ role: change.role, promoted_at: change.role === roles.member ? null : bucketedNow(change.bucketSeconds) })
    .where('group_id', '=', groupId)
    .where('member', '=', change.member)
    .returning('promoted_at as promotedAt')
    .executeTakeFirstOrThrow();
  return row.promotedAt;
}

/** Adds `removals` to the conversation's count of removals of today (UTC), without the names of the removed people. */
export async function addRemovals(tx: Tx, groupId: Buffer, removals: number): Promise<void> {
  if (removals === 0) return;
  await tx
    .insertInto('removal_counts')
    .values({ group_id: groupId, day: sql<string>`(now() AT TIME ZONE 'UTC')::date`, removals })
    .onConflict((conflict) =>
      conflict.columns(['group_id', 'day']).doUpdateSet((eb) => ({
        removals: eb('removal_counts.removals', '+', eb.ref('excluded.removals')),
      })),
    )
    .execute();
}

/** Counts the removals from the start of the UTC day of `since`. */
export async function countRemovals(db: Db, groupId: Buffer, since: Date): Promise<number> {
  const row = await db
    .selectFrom('removal_counts')
    .select((eb) => eb.fn.sum<number | null>('removals').as('removals'))
    .where('group_id', '=', groupId)
    .where('day', '>=', sql<string>`(${since}::timestamptz AT TIME ZONE 'UTC')::date`)
    .executeTakeFirst();
  return Number(row?.removals ?? 0);
}

/** Clears `removal_pending`, because a commit has removed the person's leaves. */
export async function updateRemovalCommitted(tx: Tx, groupId: Buffer, member: Buffer): Promise<void> {
  await tx
    .updateTable('members')
    .set({ removal_pending: false })
    .where('group_id', '=', groupId)
    .where('member', '=', member)
    .execute();
}

/** Sets or clears the person's request for readdition. */
export async function updateNeedsRejoin(
  db: Db,
  groupId: Buffer,
  change: { member: Buffer; needsRejoin: boolean },
): Promise<void> {
  await db
    .updateTable('members')
    .set({ needs_rejoin: change.needsRejoin })
    .where('group_id', '=', groupId)
    .where('member', '=', change.member)
    .where('needs_rejoin', '!=', change.needsRejoin)
    .execute();
}

/** Counts the active members of each conversation, by conversation id (hex). */
export async function countMembersOf(db: Db, groupIds: readonly Buffer[]): Promise<ReadonlyMap<string, number>> {
  if (groupIds.length === 0) return new Map();
  const { rows } = await sql<{ groupId: Buffer; count: number }>`
    SELECT group_id AS "groupId", count(*) AS count FROM members
    WHERE group_id = ANY (${byteaArray(groupIds)}::bytea[]) AND state = ${memberStates.active}
    GROUP BY group_id`.execute(db);
  return new Map(rows.map(({ groupId, count }) => [groupId.toString('hex'), count]));
}

/** Makes a person who left a removed member, who cannot rejoin by external commit. */
export async function updateLeftToRemoved(tx: Tx, groupId: Buffer, member: Buffer): Promise<void> {
  await tx
    .updateTable('members')
    .set({ state: memberStates.removed, needs_rejoin: false })
    .where('group_id', '=', groupId)
    .where('member', '=', member)
    .execute();
}
