import { deleteDevice as deleteOwnDevice } from '#domain/devices/delete-device.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/deleteDevice.defs.ts';

export const deleteDevice = (deps: Parameters<typeof deleteOwnDevice>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, input }) => {
      const { keyPackagesDeleted } = await deleteOwnDevice(deps, caller, input.deviceId);
      return { deleted: true, keyPackagesDeleted };
    },
  });
