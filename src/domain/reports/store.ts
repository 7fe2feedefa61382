import { bucketedNow } from '#storage/sql/bucketed-now.ts';
import type { Db, Tx } from '#storage/connection/database.ts';
import { reportStates } from './report.ts';

/** A report without its sealed content, which is read only for the reports of a page. */
export interface ReportFacts {
  readonly reportId: string;
  readonly reportNo: number;
  readonly category: number;
  readonly state: number;
  readonly sealedParties: Buffer;
  readonly submittedAt: Date;
  readonly resolvedAt: Date | null;
}

/**
 * Selects all reports of a conversation, newest first. Their number is limited by `limits.reportsPerConversationMax`.
 */
export async function selectReportFacts(db: Db, groupId: Buffer): Promise<ReportFacts[]> {
  return db
    .selectFrom('reports')
    .select([
      'report_id as reportId',
      'report_no as reportNo',
      'category',
      'state',
      'sealed_parties as sealedParties',
      'submitted_at as submittedAt',
      'resolved_at as resolvedAt',
    ])
    .where('group_id', '=', groupId)
    .orderBy('report_no', 'desc')
    .execute();
}

export async function selectReportTexts(
  db: Db,
  reportIds: readonly string[],
): Promise<{ reportId: string; sealedContent: Buffer; sealedResolution: Buffer | null }[]> {
  if (reportIds.length === 0) return [];
  return db
    .selectFrom('reports')
    .select(['report_id as reportId', 'sealed_content as sealedContent', 'sealed_resolution as sealedResolution'])
    .where('report_id', 'in', [...reportIds])
    .execute();
}

export async function selectReport(
  tx: Tx,
  reportId: string,
): Promise<{ groupId: Buffer; state: number; sealedParties: Buffer } | undefined> {
  return tx
    .selectFrom('reports')
    .select(['group_id as groupId', 'state', 'sealed_parties as sealedParties'])
    .where('report_id', '=', reportId)
    .executeTakeFirst();
}

export interface NewReport {
  readonly reportId: string;
  readonly groupId: Buffer;
  readonly reportNo: number;
  readonly category: number;
  readonly sealedParties: Buffer;
  readonly sealedContent: Buffer;
}

/** Inserts a pending report. @returns the time of the report, rounded down to the time bucket. */
export async function insertReport(tx: Tx, report: NewReport, bucketSeconds: number): Promise<Date> {
  const row = await tx
    .insertInto('reports')
    .values({
      report_id: report.reportId,
      group_id: report.groupId,
      report_no: report.reportNo,
      category: report.category,
      state: reportStates.pending,
      sealed_parties: report.sealedParties,
      sealed_content: report.sealedContent,
      submitted_at: bucketedNow(bucketSeconds),
    })
    .returning('submitted_at as submittedAt')
    .executeTakeFirstOrThrow();
  return row.submittedAt;
}

export async function updateResolution(
  tx: Tx,
  report: { reportId: string; state: number; sealedResolution: Buffer },
  bucketSeconds: number,
): Promise<void> {
  await tx
    .updateTable('reports')
    .set({
      state: report.state,
      sealed_resolution: report.sealedResolution,
      resolved_at: bucketedNow(bucketSeconds),
    })
    .where('report_id', '=', report.reportId)
    .execute();
}
