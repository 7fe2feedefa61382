import { unregisterDeviceToken as forgetDeviceToken } from '#domain/devices/register-device-token.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/unregisterDeviceToken.defs.ts';

export const unregisterDeviceToken = (deps: Parameters<typeof forgetDeviceToken>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await forgetDeviceToken(deps, caller, input.deviceId);
      return { success: true };
    },
  });
