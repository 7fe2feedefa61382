import { recordDeviceSeen } from '#domain/devices/record-devices-seen.ts';
import { countPackages, listConsumedPackages } from '#domain/key-packages/history/list-package-uses.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getKeyPackageStatus.defs.ts';

export const getKeyPackageStatus = (deps: Parameters<typeof countPackages>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { deviceId, limit, cursor } = params;
      const deviceTag = deviceId === undefined ? undefined : await recordDeviceSeen(deps, caller, deviceId);
      const page = await listConsumedPackages(deps, caller, { limit, cursor, deviceTag });
      const counts = await countPackages(deps, caller, deviceTag);
      return {
        totalUploaded: counts.total,
        available: counts.available,
        consumed: counts.consumed,
        reserved: counts.handedOut,
        consumedPackages: page.packages.flatMap(({ ref, consumedAt, cipherSuite }) =>
          consumedAt === undefined
            ? []
            : [{ keyPackageHash: ref.toString('hex'), consumedAt: consumedAt.toISOString(), cipherSuite }],
        ),
        cursor: page.cursor,
      };
    },
  });
