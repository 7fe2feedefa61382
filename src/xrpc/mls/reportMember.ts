import { reportMember as reportInConversation } from '#domain/reports/report-member.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/reportMember.defs.ts';

export const reportMember = (deps: Parameters<typeof reportInConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'reportMember',
    bodySizeBytesMax: limits.reportBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { id, submittedAt } = await reportInConversation(deps, caller, {
        conversationId: input.convoId,
        reportedDid: input.reportedDid,
        category: input.category,
        encryptedContent: input.encryptedContent,
        messageIds: input.messageIds ?? [],
        idempotencyKey: input.idempotencyKey,
      });
      return { reportId: id, submittedAt: submittedAt.toISOString() };
    },
  });
