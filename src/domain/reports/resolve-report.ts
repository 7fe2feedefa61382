import type { Caller } from '#domain/caller.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { roles } from '#domain/membership/member.ts';
import type { Membership } from '#domain/membership/member.ts';
import { isAppError } from '#platform/errors.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Tx } from '#storage/connection/database.ts';
import type { ReportDeps } from './report-member.ts';
import { reportStates } from './report.ts';
import { openParties, sealResolution } from './sealed-report.ts';
import { selectReport, updateResolution } from './store.ts';

export interface Resolution {
  readonly reportId: string;
  /** `dismissed` dismisses the report, and every other action resolves it. No action removes a member. */
  readonly action: string;
  readonly notes: string | undefined;
}

/** An id that no conversation has. */
const unknownGroupId = Buffer.alloc(0);

/**
 * Resolves or dismisses a pending report. Non-members and the reported member get ReportNotFound, so that they do not
 * learn that the report exists.
 * @throws AppError ReportNotFound, NotAdmin, AlreadyResolved.
 */
export async function resolveReport(deps: ReportDeps, caller: Caller, input: Resolution): Promise<void> {
  const { reportId, action, notes } = input;
  if (!isUuid(reportId)) throw domainError('ReportNotFound');
  await deps.db.transaction().execute(async (tx) => {
    const found = await selectReport(tx, reportId);
    // Checks the membership also for an unknown report, so that both refusals take the same time.
    const membership = await lockAsMember(deps, tx, caller, found?.groupId ?? unknownGroupId);
    // Read again under the lock, because another admin may have decided the report, or it may have expired.
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

/** Locks the conversation of a report. @throws AppError ReportNotFound for callers who are not members now. */
async function lockAsMember(deps: { privacy: Privacy }, tx: Tx, caller: Caller, groupId: Buffer): Promise<Membership> {
  try {
    return (await lockConversation(deps, tx, caller, groupId)).membership;
  } catch (error) {
    throw isAppError(error) ? domainError('ReportNotFound') : error;
  }
}
