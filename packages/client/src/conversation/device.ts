import type { ApiClient } from '../api/api-client.ts';
import { isApiError } from '../api/api-error.ts';
import { encodeBase64 } from '../api/bytes.ts';
import type { DeviceIdentity, MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import { expiryOf } from './key-package-supply.ts';
import { change, keys, readDevice } from './records.ts';

/**
 * This device as stored; a new one is created, stored and registered. A registration whose response was lost is repeated with the same id.
 * @throws ApiError, NoResponseError.
 */
export async function openDevice(
  {
    api,
    engine,
    storage,
    did,
    deviceName,
  }: {
    readonly api: ApiClient;
    readonly engine: MlsEngine;
    readonly storage: Storage;
    readonly did: string;
    readonly deviceName: string;
  },
  signal: AbortSignal,
): Promise<{ readonly identity: DeviceIdentity; readonly deviceId: string }> {
  const stored = await readDevice(storage);
  if (stored?.deviceId !== undefined) return { identity: stored.identity, deviceId: stored.deviceId };
  const device = stored ?? { identity: await engine.createIdentity(did), deviceUuid: crypto.randomUUID() };
  const { identity, deviceUuid } = device;
  const first = await engine.createKeyPackage(identity, { isLastResort: true });
  await storage.write([change(keys.device, device), change(keys.keyPackage(first.ref), first)]);
  const { deviceId } = await api.call(
    'registerDevice',
    {
      deviceName,
      deviceUUID: deviceUuid,
      signaturePublicKey: identity.signaturePublicKey,
      keyPackages: [
        { keyPackage: encodeBase64(first.keyPackage), cipherSuite: engine.cipherSuite, expires: expiryOf(first) },
      ],
    },
    { signal },
  );
  await storage.write([change(keys.device, { ...device, deviceId })]);
  return { identity, deviceId };
}

/**
 * Makes `openDevice` register this device again after the error that the service does not know it: the service deletes devices that were
 * not used for long.
 * @throws `error` if it is another one.
 */
export async function forgetRegistrationAfter(error: unknown, storage: Storage): Promise<void> {
  if (!isApiError(error, 'DeviceNotFound')) throw error;
  const stored = await readDevice(storage);
  if (stored !== undefined) await storage.write([change(keys.device, { ...stored, deviceId: undefined })]);
}
