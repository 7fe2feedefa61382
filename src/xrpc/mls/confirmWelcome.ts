import { confirmWelcome as confirm } from '#domain/welcomes/confirm-welcome.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/confirmWelcome.defs.ts';

export const confirmWelcome = (deps: Parameters<typeof confirm>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await confirm(deps, caller, { conversationId: input.convoId, deviceId: input.deviceId, success: input.success });
      return { confirmed: true };
    },
  });
