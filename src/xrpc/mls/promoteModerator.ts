import { promoteModerator as promoteToModerator } from '#domain/membership/roles/promote-moderator.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/promoteModerator.defs.ts';

export const promoteModerator = (deps: Parameters<typeof promoteToModerator>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const promotedAt = await promoteToModerator(deps, caller, {
        conversationId: input.convoId,
        targetDid: input.targetDid,
      });
      return { ok: true, promotedAt: promotedAt.toISOString() };
    },
  });
