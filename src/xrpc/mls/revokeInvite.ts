import { revokeInvite as revoke } from '#domain/invites/revoke-invite.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/revokeInvite.defs.ts';

export const revokeInvite = (deps: Parameters<typeof revoke>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await revoke(deps, caller, input.inviteId);
      return { success: true };
    },
  });
