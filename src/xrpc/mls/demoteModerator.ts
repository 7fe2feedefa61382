import { demoteModerator as demoteFromModerator } from '#domain/membership/roles/demote-moderator.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/demoteModerator.defs.ts';

export const demoteModerator = (deps: Parameters<typeof demoteFromModerator>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await demoteFromModerator(deps, caller, { conversationId: input.convoId, targetDid: input.targetDid });
      return { ok: true };
    },
  });
