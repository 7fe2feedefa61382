import { recordDeviceSeen } from '#domain/devices/record-devices-seen.ts';
import { syncKeyPackages as withdrawOrphans } from '#domain/key-packages/sync-key-packages.ts';
import { procedure } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/syncKeyPackages.defs.ts';

export const syncKeyPackages = (deps: Parameters<typeof withdrawOrphans>[0]): MethodEndpoint =>
  procedure({
    lexicon,
    auth: 'service-token',
    quota: 'syncKeyPackages',
    handler: async ({ caller, input }) => {
      const { deviceId } = input;
      const deviceTag = await recordDeviceSeen(deps, caller, deviceId);
      const { remaining, orphaned } = await withdrawOrphans(deps, caller, { deviceTag, hashes: input.localHashes });
      return {
        serverHashes: [...remaining],
        orphanedCount: orphaned.length,
        deletedCount: orphaned.length,
        orphanedHashes: [...orphaned],
        remainingAvailable: remaining.length,
        deviceId,
      };
    },
  });
