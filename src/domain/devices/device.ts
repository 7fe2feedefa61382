import type { Privacy } from '#privacy/privacy.ts';

/** One of the caller's own devices (lexicon `deviceInfo`). */
export interface Device {
  readonly deviceId: string;
  readonly deviceName: string;
  readonly deviceUuid: string | undefined;
  readonly credentialDid: string;
  readonly registeredAt: Date;
  /** Rounded down to a day, but not before the registration. */
  readonly lastSeenAt: Date;
  readonly keyPackageCount: number;
}

/** The sealed content of a device's row. */
export interface DeviceDetails {
  readonly name: string;
  readonly uuid?: string;
}

/** A device that waits for members of conversations to add it. */
export interface WaitingDevice {
  readonly deviceId: string;
  readonly did: string;
  readonly name: string;
  readonly tag: Buffer;
  readonly waitingSince: Date;
  /** The conversations of its owner at registration; the owner may have left some since. */
  readonly groupIds: readonly Buffer[];
}

/** The pseudonym of a device's owner; no other table contains it. */
export function deviceOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('device-owner', [], did);
}

export function openDeviceDetails(privacy: Privacy, deviceId: string, sealedDevice: Buffer): DeviceDetails {
  return JSON.parse(privacy.unsealText('device', [deviceId], sealedDevice)) as DeviceDetails;
}

export function sealDeviceDetails(privacy: Privacy, deviceId: string, details: DeviceDetails): Buffer {
  return privacy.sealText('device', [deviceId], JSON.stringify(details));
}

/** The DID with the device id as fragment, which clients use as a label; MLS credentials contain the bare DID. */
export function deviceDid(did: string, deviceId: string): string {
  return `${did}#${deviceId}`;
}
