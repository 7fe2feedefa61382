import { decodePskHash } from '#domain/invites/invite.ts';
import { processExternalCommit as joinByCommit } from '#domain/membership/process-external-commit.ts';
import { limits } from '#platform/limits.ts';
import { blob, optionalBlob } from '#xrpc/blob-input.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/processExternalCommit.defs.ts';

export const processExternalCommit = (deps: Parameters<typeof joinByCommit>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { epoch, joinedAt } = await joinByCommit(deps, caller, {
        conversationId: input.convoId,
        commit: blob(input.externalCommit, 'InvalidCommit'),
        groupInfo: optionalBlob(input.groupInfo, 'InvalidGroupInfo'),
        pskHash: input.pskHash === undefined ? undefined : decodePskHash(input.pskHash),
        idempotencyKey: input.idempotencyKey,
      });
      return { epoch, rejoinedAt: joinedAt.toISOString() };
    },
  });
