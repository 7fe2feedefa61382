import { decodePskHash } from '#domain/invites/invite.ts';
import { processExternalCommit as joinByCommit } from '#domain/membership/commits/process-external-commit.ts';
import { limits } from '#platform/limits.ts';
import { blob, optionalBlob, sizeOf } from '#xrpc/input/blob-input.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/processExternalCommit.defs.ts';

export const processExternalCommit = (
  deps: Parameters<typeof joinByCommit>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'processExternalCommit',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { convoId: conversationId, idempotencyKey } = input;
      const blobs = {
        commit: blob(input.externalCommit, 'InvalidCommit'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
      };
      const pskHash = input.pskHash === undefined ? undefined : decodePskHash(input.pskHash);
      const write = { conversationId, sizeBytes: sizeOf(blobs), by: 'joiner' } as const;
      const { epoch, joinedAt } = await deps.byteBudget.within(caller, write, () =>
        joinByCommit(deps, caller, { conversationId, ...blobs, pskHash, idempotencyKey }),
      );
      return { epoch, rejoinedAt: joinedAt.toISOString() };
    },
  });
