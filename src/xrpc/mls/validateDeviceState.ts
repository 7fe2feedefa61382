import { formatConversationId } from '#domain/conversations/conversation.ts';
import { reportDeviceState } from '#domain/device-additions/report-device-state.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/validateDeviceState.defs.ts';

export const validateDeviceState = (deps: Parameters<typeof reportDeviceState>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const state = await reportDeviceState(deps, caller, params.deviceId);
      const needsReplenishment = state.available < state.target;
      const findings = [
        ...(needsReplenishment
          ? [['Few key packages are left.', 'Publish more with publishKeyPackages.'] as const]
          : []),
        ...(state.waiting > 0
          ? [
              [
                'The device waits to be added to conversations.',
                'Let another device of yours or a member be online, or join by external commit.',
              ] as const,
            ]
          : []),
      ];
      return {
        isValid: findings.length === 0,
        issues: findings.map(([issue]) => issue),
        recommendations: findings.map(([, recommendation]) => recommendation),
        expectedConvos: state.conversations,
        actualConvos: state.conversations - state.waiting,
        keyPackageInventory: {
          available: state.available,
          target: state.target,
          needsReplenishment,
          perDeviceCount: state.perDevice,
        },
        pendingRejoinRequests: state.rejoining.map(formatConversationId),
      };
    },
  });
