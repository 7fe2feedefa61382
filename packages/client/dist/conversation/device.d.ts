import type { ApiClient } from '../api/api-client.ts';
import type { DeviceIdentity, MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
/**
 * This device as stored; a new one is created, stored and registered. A registration whose response was lost is repeated with the same id.
 * @throws ApiError, NoResponseError.
 */
export declare function openDevice({ api, engine, storage, did, deviceName, }: {
    readonly api: ApiClient;
    readonly engine: MlsEngine;
    readonly storage: Storage;
    readonly did: string;
    readonly deviceName: string;
}, signal: AbortSignal): Promise<{
    readonly identity: DeviceIdentity;
    readonly deviceId: string;
}>;
