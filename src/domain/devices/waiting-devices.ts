import { decodeConversationList, encodeConversationList } from '#domain/accounts/conversation-list.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { deviceOwner, openDeviceDetails } from './device.ts';
import type { WaitingDevice } from './device.ts';
import { isDeviceId } from './require-device.ts';
import { clearWaiting, selectWaiting } from './store.ts';
import type { WaitingRow } from './store.ts';

/** What is needed to find devices that still wait. */
export interface WaitingDeps {
  readonly db: Db;
  readonly privacy: Privacy;
  /** How long a device waits. */
  readonly deviceWaitDays: number;
}

/** The conversations that a device waits for, of the sizes that an account's list has. */
export function sealWaiting(privacy: Privacy, deviceId: string, groupIds: readonly Buffer[]): Buffer {
  return privacy.seal('device-waiting', [deviceId], encodeConversationList(groupIds));
}

/** The device with this id, if it waits for anything; whose it is does not matter here. */
export async function readWaitingDevice(deps: WaitingDeps, deviceId: string): Promise<WaitingDevice | undefined> {
  if (!isDeviceId(deviceId)) return undefined;
  const [row] = await selectWaiting(deps.db, { deviceId }, deps.deviceWaitDays);
  return row && openWaiting(deps.privacy, row);
}

/** Waiting devices of these people. */
export async function readWaitingDevices(deps: WaitingDeps, dids: readonly string[]): Promise<WaitingDevice[]> {
  if (dids.length === 0) return [];
  const owners = dids.map((did) => deviceOwner(deps.privacy, did));
  return (await selectWaiting(deps.db, { owners }, deps.deviceWaitDays)).map((row) => openWaiting(deps.privacy, row));
}

/** Everybody's devices that have waited since `since` or later; undefined when there are more than `countMax`. */
export async function readDevicesWaitingSince(
  deps: WaitingDeps,
  since: Date,
  countMax: number,
): Promise<WaitingDevice[] | undefined> {
  const rows = await selectWaiting(deps.db, { since, rowsMax: countMax + 1 }, deps.deviceWaitDays);
  return rows.length > countMax ? undefined : rows.map((row) => openWaiting(deps.privacy, row));
}

/** Forgets what devices waited for when their time is over. @returns of how many, at most `rowsMax`. */
export async function endWaiting(deps: { db: Db; deviceWaitDays: number }, rowsMax: number): Promise<number> {
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
