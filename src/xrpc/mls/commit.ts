import { commitToGroup } from '#domain/membership/commits/commit-to-group.ts';
import { limits } from '#platform/limits.ts';
import { bufferOf, sizeOf } from '#xrpc/input/blob-input.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/commit.defs.ts';

export const commit = (
  deps: Parameters<typeof commitToGroup>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'commit',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { convoId: conversationId, idempotencyKey } = input;
      const blobs = {
        commit: bufferOf(input.commit),
        welcome: input.welcome && bufferOf(input.welcome),
        groupInfo: input.groupInfo && bufferOf(input.groupInfo),
      };
      const write = { conversationId, sizeBytes: sizeOf(blobs), by: 'member' } as const;
      const newEpoch = await deps.byteBudget.within(caller, write, () =>
        commitToGroup(deps, caller, { conversationId, ...blobs, idempotencyKey }),
      );
      return { success: true, newEpoch };
    },
  });
