import { decodeConversationList, encodeConversationList } from '#domain/accounts/conversation-list.ts';
import { isUuid } from '#platform/ids.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner, openDeviceDetails } from './device.ts';
import type { WaitingDevice } from './device.ts';
import { clearWaiting, selectWaiting } from './store.ts';
import type { WaitingRow } from './store.ts';

export interface WaitingDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  readonly deviceWaitDays: number;
}

/** Seals the conversations that a device waits to be added to, padded like an account's conversation list. */
export function sealWaiting(privacy: Privacy, deviceId: string, groupIds: readonly Buffer[]): Buffer {
  return privacy.seal('device-waiting', [deviceId], encodeConversationList(groupIds));
}

/** Reads the device with this id, of any owner, if it waits to be added to a conversation. */
export async function readWaitingDevice(deps: WaitingDeps, deviceId: string): Promise<WaitingDevice | undefined> {
  if (!isUuid(deviceId)) return undefined;
  const [row] = await selectWaiting(deps.db, { deviceId }, deps.deviceWaitDays);
  return row && openWaiting(deps.privacy, row);
}

export async function readWaitingDevices(deps: WaitingDeps, dids: readonly string[]): Promise<WaitingDevice[]> {
  if (dids.length === 0) return [];
  const owners = dids.map((did) => deviceOwner(deps.privacy, did));
  return (await selectWaiting(deps.db, { owners }, deps.deviceWaitDays)).map((row) => openWaiting(deps.privacy, row));
}

/**
 * Reads the devices of all people that began to wait at `since` or later.
 * @returns undefined when there are more than `countMax` devices.
 */
export async function readDevicesWaitingSince(
  deps: WaitingDeps,
  since: Date,
  countMax: number,
): Promise<WaitingDevice[] | undefined> {
  const rows = await selectWaiting(deps.db, { since, rowsMax: countMax + 1 }, deps.deviceWaitDays);
  return rows.length > countMax ? undefined : rows.map((row) => openWaiting(deps.privacy, row));
}

/** Deletes expired waiting lists. @returns how many lists were deleted, at most `rowsMax`. */
export async function deleteExpiredWaiting(deps: { db: Db; deviceWaitDays: number }, rowsMax: number): Promise<number> {
  return clearWaiting(deps.db, { waitDays: deps.deviceWaitDays, rowsMax });
}

function openWaiting(privacy: Privacy, row: WaitingRow): WaitingDevice {
  const { deviceId, tag, waitingSince } = row;
  return {
    deviceId,
    tag,
    waitingSince,
    did: privacy.unsealText('device-did', [deviceId], row.sealedDid),
    name: openDeviceDetails(privacy, deviceId, row.sealedDevice).name,
    groupIds: decodeConversationList(privacy.unseal('device-waiting', [deviceId], row.sealedWaiting)),
  };
}
