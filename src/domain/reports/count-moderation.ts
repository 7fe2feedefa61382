import type { Caller } from '#domain/caller.ts';
import { parseConversationId } from '#domain/conversations/conversation.ts';
import { domainError } from '#domain/domain-error.ts';
import { countRemovalsSince } from '#domain/membership/members/count-removals-since.ts';
import { roles } from '#domain/membership/member.ts';
import { requireMember } from '#domain/membership/members/require-member.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { categories, reportStates } from './report.ts';
import type { Category } from './report.ts';
import { visibleReports } from './visible-reports.ts';

/** Numbers of reports and removals that are still stored. Reports about the calling admin are not counted. */
export interface ModerationCounts {
  readonly reports: number;
  readonly pending: number;
  readonly removals: number;
  readonly byCategory: Readonly<Record<Category, number>>;
  /** Whole hours, rounded down; undefined when no report was decided. */
  readonly meanHoursToDecision: number | undefined;
}

const hourMs = 3_600_000;

/**
 * Counts reports and removals in one conversation, for its admins.
 * @param query.since counts only reports and removals from this time on; removals from the start of its day (UTC).
 * @throws AppError ConvoNotFound, NotMember, NotAuthorized.
 */
export async function countModeration(
  deps: { db: Db; privacy: Privacy },
  caller: Caller,
  query: { conversationId: string; since: Date | undefined },
): Promise<ModerationCounts> {
  const groupId = parseConversationId(query.conversationId);
  const membership = await requireMember(deps, caller, groupId);
  if (membership.role !== roles.admin) throw domainError('NotAuthorized');
  const since = query.since ?? new Date(0);
  const reports = (await visibleReports(deps, caller, groupId)).filter(({ submittedAt }) => submittedAt >= since);
  const hours = reports.flatMap(({ submittedAt, resolvedAt }) =>
    resolvedAt === null ? [] : [(resolvedAt.getTime() - submittedAt.getTime()) / hourMs],
  );
  const countOf = (category: number): number => reports.filter((report) => report.category === category).length;
  const names = Object.keys(categories) as Category[];
  return {
    reports: reports.length,
    pending: reports.filter(({ state }) => state === reportStates.pending).length,
    removals: await countRemovalsSince(deps, groupId, since),
    byCategory: Object.fromEntries(names.map((name) => [name, countOf(categories[name])])) as Record<Category, number>,
    meanHoursToDecision:
      hours.length === 0 ? undefined : Math.floor(hours.reduce((sum, each) => sum + each, 0) / hours.length),
  };
}
