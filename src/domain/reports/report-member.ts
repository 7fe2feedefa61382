import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { lockConversation } from '#domain/conversations/lock-conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { withIdempotency } from '#domain/idempotency/with-idempotency.ts';
import { findActiveMember } from '#domain/membership/members/find-active-member.ts';
import { newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { categoryNumber, reportStates } from './report.ts';
import { openParties, sealContent, sealParties } from './sealed-report.ts';
import { insertReport, selectReportFacts } from './store.ts';
import type { ReportFacts } from './store.ts';

export interface ReportDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly timeBucketSeconds: number;
  readonly idempotencyTtlHours: number;
}

export interface ReportToMake {
  readonly conversationId: string;
  readonly reportedDid: string;
  readonly category: string;
  /** The details of the report, which the client encrypted for the admins. */
  readonly encryptedContent: Uint8Array;
  readonly messageIds: readonly string[];
  readonly idempotencyKey: string | undefined;
}

/**
 * Stores a report about a member for REPORT_TTL_DAYS, with everything except its category sealed. Admins and moderators
 * of the conversation can read the report, except the reported member.
 * @throws AppError ConvoNotFound, NotMember, CannotReportSelf, TargetNotMember, TooManyReports, IdempotencyKeyReused.
 */
export async function reportMember(
  deps: ReportDeps,
  caller: Caller,
  input: ReportToMake,
): Promise<{ id: string; submittedAt: Date }> {
  const groupId = parseConversationId(input.conversationId);
  const call = { caller, method: 'reportMember', key: input.idempotencyKey, input } as const;
  return deps.db
    .transaction()
    .execute((tx) =>
      withIdempotency(deps, tx, call, () => reportInTransaction(deps, tx, caller, { ...input, groupId })),
    );
}

async function reportInTransaction(
  deps: ReportDeps,
  tx: Tx,
  caller: Caller,
  input: ReportToMake & { groupId: Buffer },
): Promise<{ id: string; submittedAt: Date }> {
  const { privacy } = deps;
  const { groupId, reportedDid, category, messageIds } = input;
  await lockConversation(deps, tx, caller, groupId);
  if (reportedDid === caller.did) throw domainError('CannotReportSelf');
  const reported = await findActiveMember({ privacy, db: tx }, groupId, reportedDid);
  if (reported === undefined) throw domainError('TargetNotMember');
  const others = await selectReportFacts(tx, groupId);
  requireMemberCapacity(privacy, caller, others);
  const reportId = newUuid();
  const submittedAt = await insertReport(
    tx,
    {
      reportId,
      groupId,
      reportNo: (others[0]?.reportNo ?? 0) + 1,
      category: categoryNumber(category),
      sealedParties: sealParties(privacy, reportId, { reporter: caller.did, reported: reportedDid }),
      sealedContent: sealContent(privacy, reportId, { category, messageIds, encrypted: input.encryptedContent }),
    },
    deps.timeBucketSeconds,
  );
  return { id: reportId, submittedAt };
}

/**
 * Refuses a report if the caller has too many pending reports, or if the conversation has too many reports. The
 * caller's limit prevents one member from using up the limit of the conversation, which bounds the storage.
 * @throws AppError TooManyReports.
 */
function requireMemberCapacity(privacy: Privacy, caller: Caller, reports: readonly ReportFacts[]): void {
  const open = reports.filter(
    ({ state, reportId, sealedParties }) =>
      state === reportStates.pending && openParties(privacy, reportId, sealedParties).reporter === caller.did,
  );
  const isFull = reports.length >= limits.reportsPerConversationMax;
  if (isFull || open.length >= limits.openReportsPerReporterMax) throw domainError('TooManyReports');
}
