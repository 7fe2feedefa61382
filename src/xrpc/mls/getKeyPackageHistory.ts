import { deviceIdsByTag } from '#domain/devices/device-ids-by-tag.ts';
import { recordDeviceSeen } from '#domain/devices/record-devices-seen.ts';
import { listPackageHistory } from '#domain/key-packages/history/list-package-uses.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getKeyPackageHistory.defs.ts';

export const getKeyPackageHistory = (deps: Parameters<typeof listPackageHistory>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      const { deviceId, limit, cursor } = params;
      const deviceTag = deviceId === undefined ? undefined : await recordDeviceSeen(deps, caller, deviceId);
      const page = await listPackageHistory(deps, caller, { limit, cursor, deviceTag });
      const ids = await deviceIdsByTag(deps, caller);
      return {
        history: page.packages.map((item) => ({
          packageId: item.ref.toString('hex'),
          createdAt: item.publishedAt.toISOString(),
          consumedAt: item.consumedAt?.toISOString(),
          deviceId: ids.get(item.deviceTag.toString('hex')),
          cipherSuite: item.cipherSuite,
        })),
        cursor: page.cursor,
      };
    },
  });
