import { getWelcome as fetchWelcome } from '#domain/welcomes/get-welcome.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getWelcome.defs.ts';

export const getWelcome = (deps: Parameters<typeof fetchWelcome>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { convoId, deviceId } = params;
      const welcome = await fetchWelcome(deps, caller, { conversationId: convoId, deviceId });
      return { convoId, welcome: welcome.toString('base64') };
    },
  });
