import { formatConversationId } from '#domain/conversations/conversation.ts';
import { claimAddition } from '#domain/device-additions/claim-addition.ts';
import { deviceDid } from '#domain/devices/device.ts';
import { keyPackageText } from '#xrpc/key-package-text.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/claimPendingDeviceAddition.defs.ts';

export const claimPendingDeviceAddition = (deps: Parameters<typeof claimAddition>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const outcome = await claimAddition(deps, caller, input.pendingAdditionId);
      if (outcome.kind === 'unknown') return { claimed: false };
      const { device, groupId } = outcome.candidate;
      const addition = {
        convoId: formatConversationId(groupId),
        deviceCredentialDid: deviceDid(device.did, device.deviceId),
        claimedBy: outcome.by,
      };
      if (outcome.kind === 'unavailable') return { claimed: false, ...addition };
      const { did, ref, keyPackage } = outcome.keyPackage;
      return {
        claimed: true,
        ...addition,
        keyPackage: {
          did,
          keyPackage: keyPackageText(keyPackage, input.asMlsMessage),
          keyPackageHash: ref.toString('hex'),
          cipherSuite: outcome.cipherSuite,
        },
      };
    },
  });
