import { optOut as optOutOfChats } from '#domain/opt-in/change-opt-in.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/optOut.defs.ts';

export const optOut = (deps: Parameters<typeof optOutOfChats>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller }) => {
      await optOutOfChats(deps, caller);
      return { success: true };
    },
  });
