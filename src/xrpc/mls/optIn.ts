import { optIn as optInToChats } from '#domain/opt-in/change-opt-in.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/optIn.defs.ts';

export const optIn = (deps: Parameters<typeof optInToChats>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const since = await optInToChats(deps, caller, { deviceId: input.deviceId });
      return { optedIn: true, optedInAt: since.toISOString() };
    },
  });
