import type { Db } from '#storage/connection/database.ts';
import { memberStates } from '../member.ts';
import { selectSealedMembers } from '../store.ts';

/** A membership and whether it is active. */
export interface MemberState {
  readonly groupId: Buffer;
  readonly member: Buffer;
  readonly sealedDid: Buffer;
  readonly isActive: boolean;
}

/** Reads whether memberships are active. A membership that is listed twice is returned once. */
export async function readMemberStates(
  db: Db,
  members: readonly { readonly groupId: Buffer; readonly member: Buffer }[],
): Promise<MemberState[]> {
  const rows = await selectSealedMembers(db, {
    groupIds: members.map(({ groupId }) => groupId),
    members: members.map(({ member }) => member),
  });
  return rows.map(({ state, ...row }) => ({ ...row, isActive: state === memberStates.active }));
}
