import { recordDeviceSeen } from '#domain/devices/record-devices-seen.ts';
import { domainError } from '#domain/domain-error.ts';
import { reportAvailableKeyPackages } from '#domain/key-packages/report-available-key-packages.ts';
import { query } from '#xrpc/endpoint.ts';
import type { MethodEndpoint } from '#xrpc/endpoint.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/getKeyPackageStats.defs.ts';

export const getKeyPackageStats = (deps: Parameters<typeof reportAvailableKeyPackages>[0]): MethodEndpoint =>
  query({
    lexicon,
    auth: 'service-token',
    quota: 'callerDefault',
    handler: async ({ caller, params }) => {
      // Other DIDs are refused, because the number of a person's available key packages would show when the person is
      // active.
      if (params.did !== undefined && params.did !== caller.did) throw domainError('InvalidDid');
      const { cipherSuite, deviceId } = params;
      const deviceTag = deviceId === undefined ? undefined : await recordDeviceSeen(deps, caller, deviceId);
      return reportAvailableKeyPackages(deps, caller, { cipherSuite, deviceTag });
    },
  });
