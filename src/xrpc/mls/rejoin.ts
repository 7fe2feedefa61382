import { warnUnregistered } from '#domain/devices/list-device-tags.ts';
import { requestRejoin } from '#domain/membership/rejoin/request-rejoin.ts';
import { limits } from '#platform/limits.ts';
import { blob } from '#xrpc/input/blob-input.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/rejoin.defs.ts';

export const rejoin = (deps: Parameters<typeof requestRejoin>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'publishKeyPackages',
    bodySizeBytesMax: limits.keyPackageBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const requestId = await requestRejoin(deps, caller, {
        conversationId: input.convoId,
        keyPackage: blob(input.keyPackage, 'InvalidKeyPackage'),
        deviceId: input.deviceId,
      });
      const warning = input.deviceId === undefined ? await warnUnregistered(deps, caller) : undefined;
      return { requestId, pending: true, warning };
    },
  });
