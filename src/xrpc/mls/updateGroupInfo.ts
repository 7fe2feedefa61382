import { updateGroupInfo as replaceGroupInfo } from '#domain/conversations/group-info/update-group-info.ts';
import { limits } from '#platform/limits.ts';
import type { ByteBudget } from '#xrpc/byte-budget.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/updateGroupInfo.defs.ts';
import { blob } from '#xrpc/input/blob-input.ts';

export const updateGroupInfo = (
  deps: Parameters<typeof replaceGroupInfo>[0] & { readonly byteBudget: ByteBudget },
): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    bodySizeBytesMax: limits.requestBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const groupInfo = blob(input.groupInfo, 'InvalidGroupInfo');
      await deps.byteBudget.takeOwn(caller, groupInfo.length);
      await replaceGroupInfo(deps, caller, { conversationId: input.convoId, groupInfo, epoch: input.epoch });
      return { updated: true };
    },
  });
