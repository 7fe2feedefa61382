import type { Privacy } from '#privacy/privacy.ts';
import type { Db } from '#storage/connection/database.ts';
import { welcomeDevice, welcomeRecipient } from './deliver-welcome.ts';
import { selectWelcomedDevices } from './store.ts';

export interface DeviceInConversation {
  readonly groupId: Buffer;
  readonly did: string;
  readonly tag: Buffer;
}

/**
 * Reads for each of these devices whether a Welcome for it is stored.
 * @returns true or false for each device, in the same order.
 */
export async function readWelcomedDevices(
  deps: { db: Db; privacy: Privacy },
  devices: readonly DeviceInConversation[],
): Promise<boolean[]> {
  const { privacy } = deps;
  const pseudonyms = devices.map(({ groupId, did, tag }) => ({
    groupId,
    recipient: welcomeRecipient(privacy, groupId, did),
    device: welcomeDevice(privacy, groupId, tag),
  }));
  const found = await selectWelcomedDevices(deps.db, pseudonyms);
  const keys = new Set(found.map((device) => device.toString('hex')));
  return pseudonyms.map(({ device }) => keys.has(device.toString('hex')));
}
