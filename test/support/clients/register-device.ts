import { systemClock } from '#platform/clock.ts';
import { craftedSuite } from '../mls/crafted-conversation.ts';
import { MlsDevice } from '../mls/mls-device.ts';
import type { KeyPackageOptions } from '../mls/mls-device.ts';
import type { XrpcClient } from './xrpc-client.ts';

/** A registered device and the KeyPackageRefs (hex) of its published packages. */
export interface RegisteredDevice {
  readonly deviceId: string;
  readonly device: MlsDevice;
  readonly refs: readonly string[];
}

const dayMs = 86_400_000;

/** Calls registerDevice with an MLS client of the account (default: a new one) and `packages` new key packages. */
export async function registerTestDevice(
  client: XrpcClient,
  options: { name?: string; uuid?: string; packages?: number; device?: MlsDevice } = {},
): Promise<RegisteredDevice> {
  const { name = 'phone', uuid, packages = 2 } = options;
  const device = options.device ?? (await MlsDevice.create(client.did, craftedSuite));
  const made = [];
  for (let index = 0; index < packages; index++) made.push(await device.createKeyPackage());
  const { deviceId } = await client.call('registerDevice', {
    deviceName: name,
    deviceUUID: uuid,
    signaturePublicKey: device.signaturePublicKey,
    keyPackages: made.map(({ bytes }) => upload(bytes, device.suite.name)),
  });
  return { deviceId, device, refs: made.map(({ ref }) => ref) };
}

/** Publishes another package of a device; the request contains its id if given. @returns the KeyPackageRef in hex. */
export async function publishTestPackage(
  client: XrpcClient,
  { device, deviceId }: Pick<RegisteredDevice, 'device'> & Partial<RegisteredDevice>,
  options: KeyPackageOptions = {},
): Promise<string> {
  const { bytes, ref } = await device.createKeyPackage(options);
  const item = { ...upload(bytes, device.suite.name), deviceId };
  const { succeeded } = await client.call('publishKeyPackages', { keyPackages: [item] });
  if (succeeded !== 1) throw new Error('the package was not published');
  return ref;
}

function upload(
  bytes: Uint8Array,
  cipherSuite: string,
): { keyPackage: string; cipherSuite: string; expires: `${string}Z` } {
  const expires = new Date(systemClock.nowMs() + dayMs).toISOString() as `${string}Z`;
  return { keyPackage: Buffer.from(bytes).toString('base64'), cipherSuite, expires };
}
