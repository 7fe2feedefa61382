import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { roles } from '#domain/membership/member.ts';
import { loadPolicy } from '#domain/policies/load-policy.ts';
import { newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { decodePskHash, inviteSecret } from './invite.ts';
import type { Invite, InviteDetails } from './invite.ts';
import { openInvite } from './open-invite.ts';
import { countInvites, deleteEnded, insertInvite } from './store.ts';

export interface InviteToCreate {
  readonly conversationId: string;
  /** SHA-256 of the invite's secret in hex. */
  readonly pskHash: string;
  readonly targetDid: string | undefined;
  readonly expiresAtMs: number | undefined;
  readonly maxUses: number | undefined;
  readonly idempotencyKey: string | undefined;
}

export interface InviteDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
}

/**
 * Creates an invite, so that a client that presents the hash of its secret may join by external commit. Admins may
 * create invites, and other members only if the policy allows it.
 * @throws AppError InvalidPSKHash, ConvoNotFound, NotMember, NotAdmin, PolicyViolation, TooManyInvites,
 *   IdempotencyKeyReused.
 */
export async function createInvite(deps: InviteDeps, caller: Caller, input: InviteToCreate): Promise<Invite> {
  const pskHash = decodePskHash(input.pskHash);
  if (pskHash === undefined) throw domainError('InvalidPSKHash');
  const groupId = parseConversationId(input.conversationId);
  const call = { caller, method: 'createInvite', key: input.idempotencyKey, input } as const;
  return deps.db
    .transaction()
    .execute((tx) =>
      withIdempotency(deps, tx, call, () =>
        createInTransaction(deps, tx, caller, { ...input, groupId, secret: pskHash }),
      ),
    );
}

async function createInTransaction(
  deps: InviteDeps,
  tx: Tx,
  caller: Caller,
  input: Omit<InviteToCreate, 'pskHash'> & { groupId: Buffer; secret: Buffer },
): Promise<Invite> {
  const { privacy, timeBucketSeconds } = deps;
  const { groupId } = input;
  const { membership } = await lockConversation(deps, tx, caller, groupId);
  const policy = await loadPolicy(tx, groupId);
  if (policy.adminOnlyInvites && membership.role !== roles.admin) throw domainError('NotAdmin');
  if (!policy.allowInvites) throw domainError('PolicyViolation');
  await ensureInviteCapacity(tx, groupId);
  const inviteId = newUuid();
  const details: InviteDetails = {
    pskHash: input.secret.toString('hex'),
    createdByDid: caller.did,
    targetDid: input.targetDid,
  };
  const row = await insertInvite(
    tx,
    {
      inviteId,
      groupId,
      secret: inviteSecret(privacy, groupId, input.secret),
      keyId: privacy.keyId,
      sealedInvite: privacy.sealText('invite', [groupId, inviteId], JSON.stringify(details)),
      expiresAt: input.expiresAtMs === undefined ? null : new Date(timeBucketMs(input.expiresAtMs, timeBucketSeconds)),
      maxUses: input.maxUses ?? null,
    },
    timeBucketSeconds,
  );
  return openInvite(privacy, row);
}

async function ensureInviteCapacity(tx: Tx, groupId: Buffer): Promise<void> {
  if ((await countInvites(tx, groupId)) < limits.invitesPerConversationMax) return;
  await deleteEnded(tx, groupId);
  if ((await countInvites(tx, groupId)) >= limits.invitesPerConversationMax) throw domainError('TooManyInvites');
}
