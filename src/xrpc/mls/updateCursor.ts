import { checkCursor } from '#domain/events/check-cursor.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/updateCursor.defs.ts';

export const updateCursor = (deps: Parameters<typeof checkCursor>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await checkCursor(deps, caller, { conversationId: input.convoId, cursor: input.cursor });
      return { success: true };
    },
  });
