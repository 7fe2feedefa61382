import { MlsDevice } from './mls-device.ts';
import { craftedSuite } from './crafted-conversation.ts';
import type { XrpcClient } from '../clients/xrpc-client.ts';

/** Publishes real key packages of a new device of the client. */
export async function publishPackages(client: XrpcClient, count = 1): Promise<void> {
  const device = await MlsDevice.create(client.did, craftedSuite);
  const packages = await Promise.all(Array.from({ length: count }, () => device.createKeyPackage()));
  await client.call('publishKeyPackages', {
    keyPackages: packages.map(({ bytes }) => ({
      keyPackage: Buffer.from(bytes).toString('base64'),
      cipherSuite: craftedSuite,
      expires: new Date(Date.now() + 86_400_000).toISOString(),
    })),
  });
}
