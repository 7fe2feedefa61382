import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { mayModerate } from '#domain/membership/member.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { stateName } from './report.ts';
import type { Report, ReportParties } from './report.ts';
import { openContent, openResolution } from './sealed-report.ts';
import { selectReportTexts } from './store.ts';
import type { ReportFacts } from './store.ts';
import { visibleReports } from './visible-reports.ts';

/** Which reports of a conversation a caller wants, and after which position. */
export interface ReportQuery {
  readonly conversationId: string;
  /** Undefined for reports of every state. */
  readonly state: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/**
 * Lists at most `limit` of the conversation's reports for its admins and moderators, newest first, without reports
 * about the caller. Pages follow the numbers of the reports, so that a report that arrives, expires or is decided
 * between two pages neither hides nor repeats another one.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin, InvalidCursor.
 */
export async function listReports(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  query: ReportQuery,
): Promise<{ reports: Report[]; cursor: string | undefined }> {
  const groupId = parseConversationId(query.conversationId);
  const membership = await requireMember(deps, caller, groupId);
  if (!mayModerate(membership)) throw domainError('NotAdmin');
  const binding = ['getReports', caller.did, groupId, query.state ?? ''];
  const before = query.cursor === undefined ? Infinity : openCursor(deps.privacy, binding, query.cursor);
  const wanted = (await visibleReports(deps, caller, groupId)).filter(
    ({ reportNo, state }) => reportNo < before && (query.state === undefined || stateName(state) === query.state),
  );
  const page = wanted.slice(0, query.limit);
  const last = page.at(-1);
  const cursor =
    wanted.length > page.length && last !== undefined ? sealCursor(deps.privacy, binding, last.reportNo) : undefined;
  return { reports: await openReports(deps, page), cursor };
}

/** Adds the sealed texts to the reports of a page. */
async function openReports(
  deps: { db: Db; privacy: Privacy },
  page: readonly (ReportFacts & { parties: ReportParties })[],
): Promise<Report[]> {
  const texts = await selectReportTexts(
    deps.db,
    page.map(({ reportId }) => reportId),
  );
  const byId = new Map(texts.map((text) => [text.reportId, text]));
  return page.flatMap(({ reportId: id, parties, state, submittedAt, resolvedAt }): Report[] => {
    const text = byId.get(id);
    if (text === undefined) return [];
    const { sealedContent, sealedResolution } = text;
    const resolution = sealedResolution === null ? undefined : openResolution(deps.privacy, id, sealedResolution);
    const content = openContent(deps.privacy, id, sealedContent);
    const resolved = { resolution, resolvedAt: resolvedAt ?? undefined };
    return [{ id, parties, content, state: stateName(state), submittedAt, ...resolved }];
  });
}

type Binding = readonly (string | Buffer)[];

function sealCursor(privacy: Privacy, binding: Binding, reportNo: number): string {
  return privacy.sealText('page-cursor', binding, String(reportNo)).toString('base64url');
}

function openCursor(privacy: Privacy, binding: Binding, cursor: string): number {
  try {
    return Number(privacy.unsealText('page-cursor', binding, Buffer.from(cursor, 'base64url')));
  } catch (error) {
    if (error instanceof SealError) throw domainError('InvalidCursor');
    throw error;
  }
}
