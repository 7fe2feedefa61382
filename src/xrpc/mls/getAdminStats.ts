import { domainError } from '#domain/domain-error.ts';
import { countModeration } from '#domain/reports/count-moderation.ts';
import type { Clock } from '#platform/clock.ts';
import { timeBucketMs } from '#privacy/buckets.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getAdminStats.defs.ts';
import { inputTimeMs } from '#xrpc/input/time-input.ts';

type Deps = Parameters<typeof countModeration>[0] & { readonly clock: Clock; readonly timeBucketSeconds: number };

export const getAdminStats = (deps: Deps): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      // Statistics of the whole service are refused to everyone, because the service has no admin.
      if (params.convoId === undefined) throw domainError('NotAuthorized');
      const since = params.since === undefined ? undefined : new Date(inputTimeMs(params.since));
      const counts = await countModeration(deps, caller, { conversationId: params.convoId, since });
      const { byCategory } = counts;
      return {
        stats: {
          totalReports: counts.reports,
          pendingReports: counts.pending,
          resolvedReports: counts.reports - counts.pending,
          totalRemovals: counts.removals,
          // Always 0, because members resolve block conflicts without the service.
          blockConflictsResolved: 0,
          reportsByCategory: {
            harassment: byCategory.harassment,
            spam: byCategory.spam,
            hateSpeech: byCategory.hate_speech,
            violence: byCategory.violence,
            sexualContent: byCategory.sexual_content,
            impersonation: byCategory.impersonation,
            privacyViolation: byCategory.privacy_violation,
            otherCategory: byCategory.other,
          },
          averageResolutionTimeHours: counts.meanHoursToDecision,
        },
        generatedAt: new Date(timeBucketMs(deps.clock.nowMs(), deps.timeBucketSeconds)).toISOString(),
        convoId: params.convoId.toLowerCase(),
      };
    },
  });
