import { handleBlockChange as listAffectedConversations } from '#domain/blocks/handle-block-change.ts';
import { formatConversationId } from '#domain/conversations/conversation.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/handleBlockChange.defs.ts';

export const handleBlockChange = (deps: Parameters<typeof listAffectedConversations>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'checkBlocks',
    handler: async ({ caller, input }) => {
      const { blockerDid, blockedDid, action, blockUri } = input;
      const groupIds = await listAffectedConversations(deps, caller, { blockerDid, blockedDid, action, blockUri });
      const affectedConvos = groupIds.map((groupId) => ({
        convoId: formatConversationId(groupId),
        action: action === 'created' ? 'requires_resolution' : 'no_action',
        adminNotified: false,
      }));
      return { affectedConvos };
    },
  });
