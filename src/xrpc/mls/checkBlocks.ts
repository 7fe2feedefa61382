import { checkBlocks as checkBlocksAmong } from '#domain/blocks/check-blocks.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/checkBlocks.defs.ts';
import { blockView } from './views.ts';

export const checkBlocks = (deps: Parameters<typeof checkBlocksAmong>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'checkBlocks',
    handler: async ({ caller, params }) => {
      const { blocks, checkedAt } = await checkBlocksAmong(deps, caller, params.dids);
      return { blocks: blocks.map(blockView), checkedAt: checkedAt.toISOString() };
    },
  });
