import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { eventKinds } from '#domain/events/event.ts';
import { recordEvents } from '#domain/events/record-events.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { findActiveMember } from '#domain/membership/members/find-active-member.ts';
import { mayModerate, roles } from '#domain/membership/member.ts';
import type { Clock } from '#platform/clock.ts';
import { newUuid } from '#platform/ids.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { insertWarning } from './store.ts';
import type { Warning } from './warning.ts';

export interface WarnDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
  readonly eventTtlDays: number;
  /** Called after the commit, to notify subscribers. */
  readonly onEvents: () => void;
}

export interface WarningToGive {
  readonly conversationId: string;
  readonly targetDid: string;
  readonly reason: string;
  /** Time after which the warning is no longer delivered. The retention time of events is the upper limit. */
  readonly expiresAtMs: number | undefined;
  readonly idempotencyKey: string | undefined;
}

const dayMs = 86_400_000;

/**
 * Warns a member through the member's own event streams, so that no other member gets the event. The sender of the
 * warning is not stored, and the sealed reason is deleted when the warning expires.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin (for callers who are neither admin nor moderator),
 *   TargetNotMember, CannotWarnAdmin, IdempotencyKeyReused.
 */
export async function warnMember(
  deps: WarnDeps,
  caller: Caller,
  input: WarningToGive,
): Promise<{ id: string; deliveredAt: Date }> {
  const groupId = parseConversationId(input.conversationId);
  const call = { caller, method: 'warnMember', key: input.idempotencyKey, input } as const;
  const given = await deps.db
    .transaction()
    .execute((tx) => withIdempotency(deps, tx, call, () => warnInTransaction(deps, tx, caller, { ...input, groupId })));
  deps.onEvents();
  return given;
}

async function warnInTransaction(
  deps: WarnDeps,
  tx: Tx,
  caller: Caller,
  input: WarningToGive & { groupId: Buffer },
): Promise<{ id: string; deliveredAt: Date }> {
  const { groupId, targetDid, reason } = input;
  const { locked, membership } = await lockConversation(deps, tx, caller, groupId);
  if (!mayModerate(membership)) throw domainError('NotAdmin');
  const target = await findActiveMember({ ...deps, db: tx }, groupId, targetDid);
  if (target === undefined) throw domainError('TargetNotMember');
  if (target.role === roles.admin) throw domainError('CannotWarnAdmin');
  const warning: Warning = { id: newUuid(), reason };
  const eventNo = locked.lastEvent + 1;
  const nowMs = deps.clock.nowMs();
  await insertWarning(tx, {
    groupId,
    eventNo,
    sealedWarning: deps.privacy.sealText('warning', [groupId, eventNo], JSON.stringify(warning)),
    expiresAt: expiryOf(deps, nowMs, input.expiresAtMs),
  });
  const { epoch, lastSeq } = locked;
  await recordEvents(deps, tx, { groupId, epoch, lastSeq, firstEvent: eventNo }, [
    { kind: eventKinds.warning, did: targetDid },
  ]);
  return { id: warning.id, deliveredAt: new Date(timeBucketMs(nowMs, deps.timeBucketSeconds)) };
}

/** Computes when the warning expires, rounded up to the end of a time bucket. */
function expiryOf(
  deps: { timeBucketSeconds: number; eventTtlDays: number },
  nowMs: number,
  wantedMs: number | undefined,
): Date {
  const lastMs = nowMs + deps.eventTtlDays * dayMs;
  const endMs = Math.min(wantedMs ?? lastMs, lastMs);
  return new Date(timeBucketMs(endMs, deps.timeBucketSeconds) + deps.timeBucketSeconds * 1_000);
}
