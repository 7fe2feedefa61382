import { demoteAdmin as demoteFromAdmin } from '#domain/membership/roles/demote-admin.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/demoteAdmin.defs.ts';

export const demoteAdmin = (deps: Parameters<typeof demoteFromAdmin>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await demoteFromAdmin(deps, caller, { conversationId: input.convoId, targetDid: input.targetDid });
      return { ok: true };
    },
  });
