import { createInvite as create } from '#domain/invites/create-invite.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/createInvite.defs.ts';
import { inputTimeMs } from '#xrpc/time-input.ts';
import { inviteView } from './views.ts';

export const createInvite = (deps: Parameters<typeof create>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const invite = await create(deps, caller, {
        conversationId: input.convoId,
        pskHash: input.pskHash,
        targetDid: input.targetDid,
        expiresAtMs: inputTimeMs(input.expiresAt),
        maxUses: input.maxUses,
        idempotencyKey: input.idempotencyKey,
      });
      return { inviteId: invite.inviteId, invite: inviteView(invite) };
    },
  });
