import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { mayModerate } from '#domain/membership/member.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { stateName } from './report.ts';
import type { Report } from './report.ts';
import { openContent, openResolution } from './sealed-report.ts';
import { selectReportTexts } from './store.ts';
import { visibleReports } from './visible-reports.ts';

/**
 * Lists the conversation's reports for its admins and moderators, newest first, without reports about the caller.
 * @throws AppError ConvoNotFound, NotMember, NotAdmin.
 */
export async function listReports(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  query: { conversationId: string; state: string | undefined; limit: number },
): Promise<Report[]> {
  const groupId = parseConversationId(query.conversationId);
  const membership = await requireMember(deps, caller, groupId);
  if (!mayModerate(membership)) throw domainError('NotAdmin');
  const page = (await visibleReports(deps, caller, groupId))
    .filter(({ state }) => query.state === undefined || stateName(state) === query.state)
    .slice(0, query.limit);
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
