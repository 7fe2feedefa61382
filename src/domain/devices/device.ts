import type { Privacy } from '#privacy/privacy.ts';

/** A device as its owner sees it (lexicon `deviceInfo`). */
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

/** The name of a device and the id of its installation, which the row stores as one sealed value. */
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
  /** The conversations that the owner was in when the device registered. The owner may have left some of them since. */
  readonly groupIds: readonly Buffer[];
}

/** Computes the pseudonym of a device's owner. No table except `devices` contains it. */
export function deviceOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('device-owner', [], did);
}

export function openDeviceDetails(privacy: Privacy, deviceId: string, sealedDevice: Buffer): DeviceDetails {
  return JSON.parse(privacy.unsealText('device', [deviceId], sealedDevice)) as DeviceDetails;
}

export function sealDeviceDetails(privacy: Privacy, deviceId: string, details: DeviceDetails): Buffer {
  return privacy.sealText('device', [deviceId], JSON.stringify(details));
}

/**
 * Appends the device id to the DID as fragment, for clients that use it as a label. MLS credentials contain the DID
 * without a fragment.
 */
export function deviceDid(did: string, deviceId: string): string {
  return `${did}#${deviceId}`;
}
