import { ensureAccount } from '#domain/accounts/ensure-account.ts';
import { readConversationList } from '#domain/accounts/read-conversation-list.ts';
import type { Caller } from '#domain/caller.ts';
import { domainError } from '#domain/domain-error.ts';
import { deviceTag } from '#domain/key-packages/key-package.ts';
import { publishAllOrNothing } from '#domain/key-packages/publish-key-packages.ts';
import type { KeyPackageUpload, PublishDeps } from '#domain/key-packages/publish-key-packages.ts';
import { refusalFor } from '#domain/refusal-reasons.ts';
import { newUuid } from '#platform/ids.ts';
import { limits } from '#platform/limits.ts';
import { deviceOwner, sealDeviceDetails } from './device.ts';
import type { DeviceDetails } from './device.ts';
import { lockOwner, selectDevices, upsertDevice } from './store.ts';
import { sealWaiting } from './waiting-devices.ts';

export interface DeviceRegistration {
  readonly name: string;
  /** The id that the client gave its installation. A repeated registration has the same id. */
  readonly uuid: string | undefined;
  readonly signatureKey: Buffer;
  readonly keyPackages: readonly KeyPackageUpload[];
}

export interface RegisterDeps extends PublishDeps {
  /** Called after the commit to notify subscribers, if the device waits to be added to conversations. */
  readonly onNewDevice: (deviceId: string) => void;
}

/**
 * Registers a device with its first key packages, or changes nothing if one of them is refused. A device with a new
 * signature key waits in each of its owner's conversations until a member adds it.
 * @throws AppError InvalidDeviceName, InvalidSignatureKey, InvalidKeyPackages, TooManyDevices.
 */
export async function registerDevice(
  deps: RegisterDeps,
  caller: Caller,
  input: DeviceRegistration,
): Promise<{ deviceId: string }> {
  const { privacy } = deps;
  if (input.name.trim() === '') throw domainError('InvalidDeviceName');
  if (input.signatureKey.length < limits.signatureKeySizeBytesMin) {
    throw refusalFor('InvalidSignatureKey', 'tooShort');
  }
  if (input.keyPackages.length === 0) throw refusalFor('InvalidKeyPackages', 'none');
  const owner = deviceOwner(privacy, caller.did);
  const tag = deviceTag(privacy, caller.did, input.signatureKey);
  const uuidTag = input.uuid === undefined ? null : privacy.pseudonym('device-uuid', [caller.did], input.uuid);
  await ensureAccount(deps, caller.did);
  const { deviceId, hasWaitingConversations } = await deps.db.transaction().execute(async (tx) => {
    await lockOwner(tx, owner);
    const devices = await selectDevices(tx, owner);
    // A registration with a known signature key or installation id updates that device and keeps its id.
    const known =
      devices.find((device) => device.tag.equals(tag)) ??
      devices.find((device) => uuidTag !== null && device.uuidTag?.equals(uuidTag) === true);
    if (known === undefined && devices.length >= limits.devicesPerAccountMax) throw domainError('TooManyDevices');
    const deviceId = known?.deviceId ?? newUuid();
    const details: DeviceDetails = { name: input.name, ...(input.uuid === undefined ? {} : { uuid: input.uuid }) };
    // A new signature key is a new MLS client, even in a known installation.
    const isNewClient = known?.tag.equals(tag) !== true;
    const groupIds = isNewClient ? await readConversationList({ ...deps, db: tx }, caller.did) : [];
    await upsertDevice(
      tx,
      {
        deviceId,
        owner,
        keyId: privacy.keyId,
        tag,
        uuidTag: isUuidOfOther(devices, known?.deviceId, uuidTag) ? null : uuidTag,
        sealedDevice: sealDeviceDetails(privacy, deviceId, details),
        sealedDid: privacy.sealText('device-did', [deviceId], caller.did),
        sealedWaiting: isNewClient ? sealWaiting(privacy, deviceId, groupIds) : undefined,
      },
      deps.timeBucketSeconds,
    );
    await publishAllOrNothing({ ...deps, db: tx }, caller, input.keyPackages, tag);
    return { deviceId, hasWaitingConversations: groupIds.length > 0 };
  });
  if (hasWaitingConversations) deps.onNewDevice(deviceId);
  return { deviceId };
}

/**
 * Returns whether another device has this installation id. Two MLS clients of one installation have separate rows, and
 * only one of the rows can have the id.
 */
function isUuidOfOther(
  devices: readonly { deviceId: string; uuidTag: Buffer | null }[],
  deviceId: string | undefined,
  uuidTag: Buffer | null,
): boolean {
  return (
    uuidTag !== null &&
    devices.some((device) => device.deviceId !== deviceId && device.uuidTag?.equals(uuidTag) === true)
  );
}
