import { commitDigest } from '#domain/messages/commit-digest.ts';
import { listCommits } from '#domain/messages/list-messages.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getCommits.defs.ts';

export const getCommits = (deps: Parameters<typeof listCommits>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { convoId, fromEpoch, toEpoch } = params;
      const commits = await listCommits(deps, caller, { conversationId: convoId, fromEpoch, toEpoch });
      return {
        convoId,
        commits: commits.map(({ epoch, ciphertext, receivedAt }) => ({
          epoch,
          commitData: ciphertext,
          digest: commitDigest(ciphertext),
          createdAt: receivedAt.toISOString(),
        })),
      };
    },
  });
