import { domainError } from '#domain/domain-error.ts';
import type { Policy } from '#domain/policies/policy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { countActiveMembers } from '../store.ts';

/** @throws AppError TooManyMembers when the newcomers do not fit; `tx` holds the conversation's lock. */
export async function requireMemberCapacity(
  tx: Tx,
  groupId: Buffer,
  joining: { newcomers: number; policy: Pick<Policy, 'maxMembers'> },
): Promise<void> {
  const count = await countActiveMembers(tx, groupId);
  if (count + joining.newcomers > joining.policy.maxMembers) throw domainError('TooManyMembers');
}
