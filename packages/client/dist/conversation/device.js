import { encodeBase64 } from '../api/bytes.js';
import { expiryOf } from './key-package-supply.js';
import { change, keys, readDevice } from './records.js';
/**
 * This device as stored; a new one is created, stored and registered. A registration whose response was lost is repeated with the same id.
 * @throws ApiError, NoResponseError.
 */
export async function openDevice({ api, engine, storage, did, deviceName, }, signal) {
    const stored = await readDevice(storage);
    if (stored?.deviceId !== undefined)
        return { identity: stored.identity, deviceId: stored.deviceId };
    const device = stored ?? { identity: await engine.createIdentity(did), deviceUuid: crypto.randomUUID() };
    const { identity, deviceUuid } = device;
    const first = await engine.createKeyPackage(identity, { isLastResort: true });
    await storage.write([change(keys.device, device), change(keys.keyPackage(first.ref), first)]);
    const { deviceId } = await api.call('registerDevice', {
        deviceName,
        deviceUUID: deviceUuid,
        signaturePublicKey: identity.signaturePublicKey,
        keyPackages: [
            { keyPackage: encodeBase64(first.keyPackage), cipherSuite: engine.cipherSuite, expires: expiryOf() },
        ],
    }, { signal });
    await storage.write([change(keys.device, { ...device, deviceId })]);
    return { identity, deviceId };
}
