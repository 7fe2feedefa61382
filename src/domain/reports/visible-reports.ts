import type { Caller } from '#domain/caller.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import type { ReportParties } from './report.ts';
import { openParties } from './sealed-report.ts';
import { selectReportFacts } from './store.ts';
import type { ReportFacts } from './store.ts';

/**
 * Lists the reports of a conversation without those about the caller, newest first. A reported admin must learn neither
 * of the report nor of the reporter.
 */
export async function visibleReports(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  groupId: Buffer,
): Promise<(ReportFacts & { parties: ReportParties })[]> {
  const reports = await selectReportFacts(deps.db, groupId);
  return reports
    .map((facts) => ({ ...facts, parties: openParties(deps.privacy, facts.reportId, facts.sealedParties) }))
    .filter(({ parties }) => parties.reported !== caller.did);
}
