import { createApiClient } from '#client/api/api-client.ts';
import type { ApiClient, ApiClientOptions } from '#client/api/api-client.ts';
import type { Account } from '../support/clients/account.ts';
import type { ServerAddress } from '../support/clients/xrpc-client.ts';

/** A client as an app has it: tokens come from a key of its own, as from a PDS. */
export function clientApi(account: Account, server: ServerAddress, options: Partial<ApiClientOptions> = {}): ApiClient {
  return createApiClient({
    serviceUrl: server.url,
    getToken: async (nsid) => account.mintToken({ aud: server.serviceDid, lxm: nsid }),
    ...options,
  });
}
