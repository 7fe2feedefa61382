import { removeMember as removeFromConversation } from '#domain/membership/remove-member.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/removeMember.defs.ts';
import { optionalBlob } from '#xrpc/blob-input.ts';

export const removeMember = (deps: Parameters<typeof removeFromConversation>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'removeMember',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const epochHint = await removeFromConversation(deps, caller, {
        conversationId: input.convoId,
        targetDid: input.targetDid,
        commit: optionalBlob(input.commit, 'InvalidCommit'),
        idempotencyKey: input.idempotencyKey,
      });
      return { ok: true, epochHint };
    },
  });
