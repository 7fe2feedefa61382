import { registerDeviceToken as storeDeviceToken } from '#domain/devices/register-device-token.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/registerDeviceToken.defs.ts';

export const registerDeviceToken = (deps: Parameters<typeof storeDeviceToken>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      await storeDeviceToken(deps, caller, {
        deviceId: input.deviceId,
        address: { token: input.pushToken, platform: input.platform },
        name: input.deviceName,
      });
      return { success: true };
    },
  });
