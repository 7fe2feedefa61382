import { domainError } from '#domain/domain-error.ts';
import type { Policy } from '#domain/policies/policy.ts';
import type { Tx } from '#storage/connection/database.ts';
import { countActiveMembers } from '../store.ts';

/**
 * Checks that `joining.count` more members fit into the conversation. `tx` must hold the conversation's lock, so that
 * no other call adds members before `tx` ends.
 * @throws AppError TooManyMembers.
 */
export async function requireMemberCapacity(
  tx: Tx,
  groupId: Buffer,
  joining: { count: number; policy: Pick<Policy, 'maxMembers'> },
): Promise<void> {
  const active = await countActiveMembers(tx, groupId);
  if (active + joining.count > joining.policy.maxMembers) throw domainError('TooManyMembers');
}
