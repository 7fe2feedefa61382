import { updateChatRequestSettings as changeSettings } from '#domain/chat-requests/change-chat-request-settings.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/updateChatRequestSettings.defs.ts';

export const updateChatRequestSettings = (deps: Parameters<typeof changeSettings>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: ({ caller, input: { allowFollowersBypass, allowFollowingBypass, autoExpireDays } }) =>
      changeSettings(deps, caller, { allowFollowersBypass, allowFollowingBypass, autoExpireDays }),
  });
