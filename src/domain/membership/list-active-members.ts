import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/database.ts';
import { selectActiveMembers } from './store.ts';

export interface ActiveMember {
  readonly did: string;
  readonly role: number;
  readonly joinedAt: Date;
}

/** Active members by conversation id (hex), in the order they joined; those who joined together always in the same order. */
export async function listActiveMembers(
  deps: { db: Db; privacy: Privacy },
  groupIds: readonly Buffer[],
): Promise<ReadonlyMap<string, ActiveMember[]>> {
  const members = new Map<string, ActiveMember[]>();
  for (const row of await selectActiveMembers(deps.db, groupIds)) {
    const id = row.groupId.toString('hex');
    const did = deps.privacy.unsealText('member-did', [row.groupId, row.member], row.sealedDid);
    const list = members.get(id);
    const member = { did, role: row.role, joinedAt: row.joinedAt };
    if (list === undefined) members.set(id, [member]);
    else list.push(member);
  }
  return members;
}
