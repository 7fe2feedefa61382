import { invalidateWelcome as discardWelcome } from '#domain/welcomes/invalidate-welcome.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/invalidateWelcome.defs.ts';

export const invalidateWelcome = (deps: Parameters<typeof discardWelcome>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await discardWelcome(deps, caller, { conversationId: input.convoId, deviceId: input.deviceId });
      return { invalidated: true };
    },
  });
