import { listDevices as readDevices } from '#domain/devices/list-devices.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/listDevices.defs.ts';

export const listDevices = (deps: Parameters<typeof readDevices>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller }) => ({
      devices: (await readDevices(deps, caller)).map(({ deviceUuid, lastSeenAt, registeredAt, ...device }) => ({
        ...device,
        deviceUUID: deviceUuid,
        lastSeenAt: lastSeenAt.toISOString(),
        registeredAt: registeredAt.toISOString(),
      })),
    }),
  });
