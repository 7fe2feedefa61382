import { removeMember as removeFromConversation } from '#domain/membership/remove-member.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/removeMember.defs.ts';
import { optionalBlob, sizeOf } from '#xrpc/input/blob-input.ts';

export const removeMember = (
  deps: Parameters<typeof removeFromConversation>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'removeMember',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { convoId: conversationId, targetDid, idempotencyKey } = input;
      const blobs = {
        commit: optionalBlob(input.commit, 'InvalidCommit'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
      };
      const write = { conversationId, sizeBytes: sizeOf(blobs), by: 'member' } as const;
      const epochHint = await deps.byteBudget.within(caller, write, () =>
        removeFromConversation(deps, caller, { conversationId, targetDid, ...blobs, idempotencyKey }),
      );
      return { ok: true, epochHint };
    },
  });
