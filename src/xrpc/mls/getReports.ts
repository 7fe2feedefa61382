import { listReports } from '#domain/reports/list-reports.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getReports.defs.ts';

export const getReports = (deps: Parameters<typeof listReports>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { convoId: conversationId, status: state, limit, cursor } = params;
      const page = await listReports(deps, caller, { conversationId, state, limit, cursor });
      return {
        reports: page.reports.map(({ id, parties, content, submittedAt, resolution, resolvedAt, ...report }) => ({
          id,
          reporterDid: parties.reporter,
          reportedDid: parties.reported,
          encryptedContent: content.encrypted,
          createdAt: submittedAt.toISOString(),
          status: report.state,
          category: content.category,
          messageIds: content.messageIds,
          resolvedBy: resolution?.by,
          resolvedAt: resolvedAt?.toISOString(),
          action: resolution?.action,
          notes: resolution?.notes ?? undefined,
        })),
        cursor: page.cursor,
      };
    },
  });
