import { promoteAdmin as promoteToAdmin } from '#domain/membership/roles/promote-admin.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/promoteAdmin.defs.ts';

export const promoteAdmin = (deps: Parameters<typeof promoteToAdmin>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const promotedAt = await promoteToAdmin(deps, caller, {
        conversationId: input.convoId,
        targetDid: input.targetDid,
      });
      return { ok: true, promotedAt: promotedAt.toISOString() };
    },
  });
