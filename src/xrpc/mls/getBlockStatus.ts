import { getBlockStatus as readBlockStatus } from '#domain/blocks/get-block-status.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getBlockStatus.defs.ts';
import { blockView } from './views.ts';

export const getBlockStatus = (deps: Parameters<typeof readBlockStatus>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'checkBlocks',
    handler: async ({ caller, params }) => {
      const { blocks, checkedAt, memberCount } = await readBlockStatus(deps, caller, params.convoId);
      return {
        convoId: params.convoId,
        hasConflicts: blocks.length > 0,
        blocks: blocks.map(blockView),
        checkedAt: checkedAt.toISOString(),
        memberCount,
      };
    },
  });
