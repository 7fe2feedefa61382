import type { Caller } from '#domain/caller.ts';
import { requireDeviceTag } from '#domain/devices/require-device.ts';
import { domainError } from '#domain/domain-error.ts';
import { publishKeyPackages as publish } from '#domain/key-packages/publish-key-packages.ts';
import { limits } from '#platform/limits.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/publishKeyPackages.defs.ts';
import { keyPackageUpload } from '#xrpc/input/blob-input.ts';

type PublishDeps = Parameters<typeof publish>[0];

export const publishKeyPackages = (deps: PublishDeps): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'publishKeyPackages',
    bodySizeBytesMax: limits.keyPackagesBodySizeBytesMax,
    handler: async ({ caller, input }) => {
      const { keyPackages } = input;
      if (keyPackages.length === 0) throw domainError('InvalidBatch');
      if (keyPackages.length > limits.keyPackagesPerBatchMax) throw domainError('BatchTooLarge');
      const tags = await tagsOf(
        deps,
        caller,
        keyPackages.map(({ deviceId }) => deviceId),
      );
      const uploads = keyPackages.map((item) => keyPackageUpload(item, tags.get(item.deviceId ?? '')));
      const { outcomes, unregisteredWarning } = await publish(deps, caller, uploads);
      const errors = outcomes.flatMap((outcome, index) =>
        outcome === undefined ? [] : [{ index, error: outcome.code, message: outcome.message }],
      );
      const failed = errors.length;
      return {
        succeeded: outcomes.length - failed,
        failed,
        errors: failed === 0 ? undefined : errors,
        warning: unregisteredWarning,
      };
    },
  });

/** Returns the tags of the devices that the items name, by device id. */
async function tagsOf(
  deps: PublishDeps,
  caller: Caller,
  deviceIds: readonly (string | undefined)[],
): Promise<ReadonlyMap<string, Buffer>> {
  const tags = new Map<string, Buffer>();
  for (const deviceId of new Set(deviceIds)) {
    if (deviceId !== undefined) tags.set(deviceId, await requireDeviceTag(deps, caller, deviceId));
  }
  return tags;
}
