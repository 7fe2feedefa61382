import type { Caller } from '#domain/caller.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { roles } from '#domain/membership/member.ts';
import type { Membership } from '#domain/membership/member.ts';
import { isAppError } from '#platform/errors.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { ReportDeps } from './report-member.ts';
import { reportStates } from './report.ts';
import { openParties, sealResolution } from './sealed-report.ts';
import { selectReport, updateResolution } from './store.ts';

export interface Resolution {
  readonly reportId: string;
  /** `dismissed` dismisses the report; anything else resolves it. Nobody is removed by it. */
  readonly action: string;
  readonly notes: string | undefined;
}

/** No conversation has an empty id. */
const nowhere = Buffer.alloc(0);

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Decides a report, once. To those who may not see it, it does not exist: people outside the conversation, and the reported.
 * @throws AppError ReportNotFound, NotAdmin, AlreadyResolved.
 */
export async function resolveReport(deps: ReportDeps, caller: Caller, input: Resolution): Promise<void> {
  const { reportId, action, notes } = input;
  if (!uuid.test(reportId)) throw domainError('ReportNotFound');
  await deps.db.transaction().execute(async (tx) => {
    const found = await selectReport(tx, reportId);
    // Without one the membership is looked up all the same, so that both refusals take as long.
    const membership = await lockAsMember(deps, tx, caller, found?.groupId ?? nowhere);
    // Read again under the lock: it may have been decided, or have expired.
    const report = await selectReport(tx, reportId);
    if (report === undefined) throw domainError('ReportNotFound');
    const { reported } = openParties(deps.privacy, reportId, report.sealedParties);
    if (reported === caller.did) throw domainError('ReportNotFound');
    if (membership.role !== roles.admin) throw domainError('NotAdmin');
    if (report.state !== reportStates.pending) throw domainError('AlreadyResolved');
    await updateResolution(
      tx,
      {
        reportId,
        state: action === 'dismissed' ? reportStates.dismissed : reportStates.resolved,
        sealedResolution: sealResolution(deps.privacy, reportId, { by: caller.did, action, notes: notes ?? null }),
      },
      deps.timeBucketSeconds,
    );
  });
}

/** @throws AppError ReportNotFound for everybody who is not a member now. */
async function lockAsMember(deps: { privacy: Privacy }, tx: Tx, caller: Caller, groupId: Buffer): Promise<Membership> {
  try {
    return (await lockConversation(deps, tx, caller, groupId)).membership;
  } catch (error) {
    throw isAppError(error) ? domainError('ReportNotFound') : error;
  }
}
