import { getGroupInfo as readGroupInfo } from '#domain/conversations/group-info/get-group-info.ts';
import { decodePskHash } from '#domain/invites/invite.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getGroupInfo.defs.ts';

export const getGroupInfo = (deps: Parameters<typeof readGroupInfo>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const pskHash = params.pskHash === undefined ? undefined : decodePskHash(params.pskHash);
      const { groupInfo, epoch, expiresAt } = await readGroupInfo(deps, caller, params.convoId, pskHash);
      return { groupInfo: groupInfo.toString('base64'), epoch, expiresAt: expiresAt.toISOString() };
    },
  });
