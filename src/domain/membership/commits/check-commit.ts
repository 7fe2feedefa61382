import type { Caller } from '#domain/caller.ts';
import { applyToLeaves, areSameLeaves, changeOf, didOfIdentity } from '#domain/conversations/group-info/leaves.ts';
import type { Leaves } from '#domain/conversations/group-info/leaves.ts';
import { isAppError } from '#platform/errors.ts';
import type { PreparedGroupInfo } from '#domain/conversations/group-info/group-info.ts';
import type { LockedConversation } from '#domain/conversations/conversation.ts';
import { loadProposalRefs, resolveProposals } from '#domain/messages/load-proposal-refs.ts';
import type { ResolvedProposal } from '#domain/messages/load-proposal-refs.ts';
import { handshakesInForce } from '#domain/policies/handshakes.ts';
import type { Handshakes } from '#domain/policies/handshakes.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { FramedMemberCommit } from './parse-commit.ts';
import { checkCommitProposals } from './check-commit-proposals.ts';
import type { DeclaredChange, MemberStatus } from './check-commit-proposals.ts';
import type { CommitFacts } from './prepare-commit.ts';
import { memberStates, roles } from '../member.ts';
import type { Membership } from '../member.ts';
import { memberPseudonym } from '../members/member-pseudonym.ts';
import { selectMemberships, updateRemovalCommitted } from '../store.ts';

export interface CommitToCheck {
  readonly caller: Caller;
  readonly membership: Membership;
  readonly commit: FramedMemberCommit;
  readonly facts: CommitFacts;
  readonly change: DeclaredChange;
  /** The GroupInfo of the epoch after the commit, if the call has one. */
  readonly groupInfo: PreparedGroupInfo | undefined;
}

interface CheckDeps {
  readonly privacy: Privacy;
  readonly handshakes: Handshakes;
}

/**
 * Checks a commit against the policy and, if the commit is in clear, against the declared change and the roster. `tx`
 * holds the conversation's lock, so that policy and roster cannot change during the check.
 * @throws AppError PolicyViolation, InvalidCommit.
 */
export async function checkCommit(
  deps: CheckDeps,
  tx: Tx,
  locked: LockedConversation,
  toCheck: CommitToCheck,
): Promise<void> {
  const { groupId } = locked;
  const { content } = toCheck.commit;
  const handshakes = handshakesInForce(deps.handshakes, await loadPolicy(tx, groupId));
  if (content === undefined) {
    if (handshakes === 'plaintext') throw refusalFor('PolicyViolation', 'handshakesPlaintext');
    return;
  }
  if (handshakes === 'encrypted') throw refusalFor('PolicyViolation', 'handshakesEncrypted');
  if (handshakes === 'plaintext' && toCheck.groupInfo === undefined) {
    throw refusalFor('PolicyViolation', 'groupInfoNeeded');
  }
  const { leaves } = toCheck.facts;
  const db = { privacy: deps.privacy, db: tx };
  const known = await loadProposalRefs(db, groupId, toCheck.commit, toCheck.facts.known);
  const { proposals, isComplete } = resolveProposals(content, known);
  const statuses = await loadMemberStatuses(deps, tx, groupId, didsOf(proposals, leaves));
  const removed = checkCommitProposals({
    caller: toCheck.caller.did,
    isAdmin: toCheck.membership.role === roles.admin,
    change: toCheck.change,
    content,
    proposals,
    isComplete,
    leaves,
    handshakes,
    statusOf: (did) => statuses.get(did) ?? { isActive: false, requestedReaddition: false },
  });
  if (leaves === undefined) return;
  if (isComplete)
    compareGroupInfo(toCheck.groupInfo, applyToLeaves(leaves, changeOf(proposals.map(({ shape }) => shape))));
  const remaining = new Set(
    leaves.flatMap((leaf, index) => (leaf?.did === undefined || removed.has(index) ? [] : [leaf.did])),
  );
  // When the commit removes the last leaf of a person who left or was removed, their removal is complete.
  for (const [did, { member, isRemovalPending }] of statuses) {
    if (isRemovalPending && !remaining.has(did)) await updateRemovalCommitted(tx, groupId, member);
  }
}

/**
 * Checks that a GroupInfo has the leaves that the group has after the commit. With a false GroupInfo, a member could
 * claim other members' leaves and remove them with the next commit.
 * @throws AppError InvalidGroupInfo.
 */
export function compareGroupInfo(groupInfo: PreparedGroupInfo | undefined, leaves: Leaves): void {
  if (groupInfo === undefined || isAppError(groupInfo)) return;
  if (!areSameLeaves(groupInfo.leaves, leaves)) throw refusalFor('InvalidGroupInfo', 'otherLeaves');
}

/**
 * Lists the DIDs of added and removed leaves. Without `leaves`, the DIDs of removed leaves are unknown and left out.
 */
function didsOf(proposals: readonly ResolvedProposal[], leaves: Leaves | undefined): string[] {
  const dids = proposals.map(({ shape }) => {
    if (shape.type === 'add') return didOfIdentity(shape.identity);
    return shape.type === 'remove' ? leaves?.[shape.leafIndex]?.did : undefined;
  });
  return [...new Set(dids.flatMap((did) => (did === undefined ? [] : [did])))];
}

async function loadMemberStatuses(
  deps: CheckDeps,
  tx: Tx,
  groupId: Buffer,
  dids: readonly string[],
): Promise<ReadonlyMap<string, MemberStatus & { readonly member: Buffer; readonly isRemovalPending: boolean }>> {
  const people = dids.map((did) => ({ did, member: memberPseudonym(deps.privacy, groupId, did) }));
  const rows = await selectMemberships(
    tx,
    groupId,
    people.map(({ member }) => member),
  );
  const byMember = new Map(rows.map((row) => [row.member.toString('hex'), row]));
  return new Map(
    people.flatMap(({ did, member }) => {
      const row = byMember.get(member.toString('hex'));
      if (row === undefined) return [];
      const isActive = row.state === memberStates.active;
      return [
        [
          did,
          { isActive, requestedReaddition: row.requestedReaddition, member, isRemovalPending: row.removalPending },
        ] as const,
      ];
    }),
  );
}
