import { updatePolicy as changePolicy } from '#domain/policies/update-policy.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/updatePolicy.defs.ts';
import { policyView } from './views.ts';

export const updatePolicy = (deps: Parameters<typeof changePolicy>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const policy = await changePolicy(deps, caller, {
        conversationId: input.convoId,
        change: {
          allowInvites: input.allowInvites,
          adminOnlyInvites: input.adminOnlyInvites,
          allowMemberAdd: input.allowMemberAdd,
          allowMemberRemove: input.allowMemberRemove,
          requireAdminApproval: input.requireAdminApproval,
          maxMembers: input.maxMembers,
          handshakes: input.handshakes,
        },
      });
      return { policy: policyView(input.convoId, policy) };
    },
  });
