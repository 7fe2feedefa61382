import { formatConversationId } from '#domain/conversations/conversation.ts';
import { listExpectedConversations } from '#domain/conversations/list-expected-conversations.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getExpectedConversations.defs.ts';

export const getExpectedConversations = (deps: Parameters<typeof listExpectedConversations>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'getMessages',
    handler: async ({ caller, params }) => {
      const expected = await listExpectedConversations(deps, caller, params.deviceId);
      const conversations = expected.map(
        ({ groupId, name, memberCount, lastActivity, needsRejoin, deviceInGroup }) => ({
          convoId: formatConversationId(groupId),
          name,
          memberCount,
          shouldBeInGroup: true,
          lastActivity: lastActivity?.toISOString(),
          needsRejoin,
          deviceInGroup,
        }),
      );
      return { conversations };
    },
  });
