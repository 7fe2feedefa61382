import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { publishKeyPackages as publish } from '#domain/key-packages/publish-key-packages.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/publishKeyPackage.defs.ts';
import { keyPackageUpload } from '#xrpc/input/blob-input.ts';

export const publishKeyPackage = (deps: Parameters<typeof publish>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'publishKeyPackages',
    bodySizeBytesMax: limits.keyPackageBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { deviceId } = input;
      const deviceTag = deviceId === undefined ? undefined : await requireDeviceTag(deps, caller, deviceId);
      const upload = keyPackageUpload(input, deviceTag);
      const { outcomes, unregisteredWarning } = await publish(deps, caller, [upload], 'publishKeyPackage');
      const [refusal] = outcomes;
      if (refusal !== undefined) throw refusal;
      return { warning: unregisteredWarning };
    },
  });
