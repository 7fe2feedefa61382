import { formatConversationId } from '#domain/conversations/conversation.ts';
import { listPendingAdditions } from '#domain/device-additions/list-pending-additions.ts';
import { deviceDid } from '#domain/devices/device.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getPendingDeviceAdditions.defs.ts';

export const getPendingDeviceAdditions = (deps: Parameters<typeof listPendingAdditions>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'pendingAdditions',
    handler: async ({ caller, params }) => {
      const found = await listPendingAdditions(deps, caller, { conversationIds: params.convoIds, limit: params.limit });
      return {
        pendingAdditions: found.map(({ id, groupId, did, deviceId, deviceName, claimedBy, createdAt }) => ({
          id,
          convoId: formatConversationId(groupId),
          userDid: did,
          deviceId,
          deviceName,
          deviceCredentialDid: deviceDid(did, deviceId),
          status: claimedBy === undefined ? 'pending' : 'in_progress',
          claimedBy,
          createdAt: createdAt.toISOString(),
        })),
      };
    },
  });
