import { unregisterDeviceToken as deleteDeviceToken } from '#domain/devices/register-device-token.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/unregisterDeviceToken.defs.ts';

export const unregisterDeviceToken = (deps: Parameters<typeof deleteDeviceToken>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await deleteDeviceToken(deps, caller, input.deviceId);
      return { success: true };
    },
  });
