import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { countMembers } from '#domain/membership/members/count-members.ts';
import { roles } from '#domain/membership/member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { handshakesInForce } from './handshakes.ts';
import type { Handshakes } from './handshakes.ts';
import { loadPolicy } from './load-policy.ts';
import type { Policy, PolicyInForce } from './policy.ts';
import { upsertPolicy } from './store.ts';

/** The fields of a policy to change. A field that is undefined keeps its value. */
export type PolicyChange = { readonly [Field in keyof Policy]: Policy[Field] | undefined };

interface PolicyDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  /** The handshake form that the operator requires in all conversations; `any` requires none. */
  readonly handshakes: Handshakes;
}

/**
 * Changes the policy under the conversation's lock, so that the policy cannot change between the check and the write of
 * a membership change.
 * @throws AppError NoFieldsProvided, ConvoNotFound, NotMember, NotAdmin, InvalidMaxMembers.
 */
export async function updatePolicy(
  deps: PolicyDeps,
  caller: Caller,
  input: { conversationId: string; change: PolicyChange },
): Promise<PolicyInForce> {
  const groupId = parseConversationId(input.conversationId);
  return deps.db.transaction().execute((tx) => changeInTransaction(deps, tx, caller, { ...input, groupId }));
}

async function changeInTransaction(
  deps: PolicyDeps,
  tx: Tx,
  caller: Caller,
  { groupId, change }: { groupId: Buffer; change: PolicyChange },
): Promise<PolicyInForce> {
  const { membership } = await lockConversation(deps, tx, caller, groupId);
  if (membership.role !== roles.admin) throw domainError('NotAdmin');
  if (Object.values(change).every((value) => value === undefined)) throw domainError('NoFieldsProvided');
  const policy = merge(await loadPolicy(tx, groupId), change);
  if (change.maxMembers !== undefined && change.maxMembers < (await countMembers(tx, groupId))) {
    throw domainError('InvalidMaxMembers');
  }
  const sealedUpdatedBy = deps.privacy.sealText('policy-author', [groupId], caller.did);
  const updatedAt = await upsertPolicy(tx, groupId, {
    ...policy,
    sealedUpdatedBy,
    bucketSeconds: deps.timeBucketSeconds,
  });
  const handshakes = handshakesInForce(deps.handshakes, policy);
  return { ...policy, handshakes, updatedAt, updatedBy: caller.did };
}

function merge(policy: Policy, change: PolicyChange): Policy {
  return {
    allowInvites: change.allowInvites ?? policy.allowInvites,
    adminOnlyInvites: change.adminOnlyInvites ?? policy.adminOnlyInvites,
    allowMemberAdd: change.allowMemberAdd ?? policy.allowMemberAdd,
    allowMemberRemove: change.allowMemberRemove ?? policy.allowMemberRemove,
    requireAdminApproval: change.requireAdminApproval ?? policy.requireAdminApproval,
    maxMembers: change.maxMembers ?? policy.maxMembers,
    handshakes: change.handshakes ?? policy.handshakes,
  };
}
