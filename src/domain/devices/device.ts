import type { Privacy } from '#privacy/privacy.ts';

/** One of the caller's own devices (lexicon `deviceInfo`). */
export interface Device {
  readonly deviceId: string;
  readonly deviceName: string;
  readonly deviceUuid: string | undefined;
  readonly credentialDid: string;
  readonly registeredAt: Date;
  readonly lastSeenAt: Date;
  readonly keyPackageCount: number;
}

/** What stands sealed in a device's row. */
export interface DeviceDetails {
  readonly name: string;
  readonly uuid?: string;
}

/** Whose devices these are; it stands in no other table. */
export function deviceOwner(privacy: Privacy, did: string): Buffer {
  return privacy.pseudonym('device-owner', [], did);
}

/** The DID with the device as fragment, which clients use as a label; MLS credentials carry the bare DID. */
export function deviceDid(did: string, deviceId: string): string {
  return `${did}#${deviceId}`;
}
