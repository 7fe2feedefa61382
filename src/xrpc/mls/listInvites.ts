import { listInvites as readInvites } from '#domain/invites/list-invites.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/listInvites.defs.ts';
import { inviteView } from './views.ts';

export const listInvites = (deps: Parameters<typeof readInvites>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const revoked = params.includeRevoked ? 'with-revoked' : 'live';
      const invites = await readInvites(deps, caller, { conversationId: params.convoId, revoked });
      return { invites: invites.map(inviteView) };
    },
  });
