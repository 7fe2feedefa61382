import { blockChatSender as blockSender } from '#domain/chat-requests/block-chat-sender.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/blockChatSender.defs.ts';

export const blockChatSender = (deps: Parameters<typeof blockSender>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'sendChatRequest',
    handler: async ({ caller, input: { senderDid, requestId } }) => ({
      success: true,
      blockedCount: await blockSender(deps, caller, { senderDid, requestId }),
    }),
  });
