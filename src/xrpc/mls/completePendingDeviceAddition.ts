import { completeAddition } from '#domain/device-additions/complete-addition.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/completePendingDeviceAddition.defs.ts';

export const completePendingDeviceAddition = (deps: Parameters<typeof completeAddition>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const completion = await completeAddition(deps, caller, input.pendingAdditionId);
      return completion === 'completed' ? { success: true } : { success: false, error: completion };
    },
  });
