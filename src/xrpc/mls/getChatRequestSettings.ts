import { getChatRequestSettings as readSettings } from '#domain/chat-requests/change-chat-request-settings.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getChatRequestSettings.defs.ts';

export const getChatRequestSettings = (deps: Parameters<typeof readSettings>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: ({ caller }) => readSettings(deps, caller),
  });
