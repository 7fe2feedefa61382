import type { WaitingDevice } from '#domain/devices/device.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** A device that a member should add to a conversation of its owner (lexicon `pendingDeviceAddition`). */
export interface PendingAddition {
  readonly id: string;
  readonly groupId: Buffer;
  readonly did: string;
  readonly deviceId: string;
  readonly deviceName: string;
  /** DID of the member who has a valid claim. */
  readonly claimedBy: string | undefined;
  readonly createdAt: Date;
}

/** A device and a conversation that it waits to be added to. */
export interface Candidate {
  readonly device: WaitingDevice;
  readonly groupId: Buffer;
}

/** Creates a candidate for each conversation that one of these devices waits for and whose hex id passes `isWanted`. */
export function candidatesOf(
  devices: readonly WaitingDevice[],
  isWanted: (conversationId: string) => boolean,
): Candidate[] {
  return devices.flatMap((device) =>
    device.groupIds.filter((groupId) => isWanted(groupId.toString('hex'))).map((groupId) => ({ device, groupId })),
  );
}

/**
 * The sealed content of a claim. The member `by` has claimed the addition until `untilMs`, but a completed claim does
 * not expire.
 */
export interface AdditionClaim {
  readonly state: 'claimed' | 'completed';
  readonly by: string;
  readonly untilMs: number;
}

const keySizeBytes = 16;

/**
 * Computes the pseudonym of an addition. It depends on the signature key of the device (`tag`), because a new signature
 * key needs a new addition.
 */
export function additionKey(privacy: Privacy, { device, groupId }: Candidate): Buffer {
  return privacy.pseudonym('device-addition', [device.deviceId, device.tag], groupId);
}

/** Computes the id of an addition from the device and the conversation, so that an addition needs no row. */
export function additionId(privacy: Privacy, candidate: Candidate): string {
  return `${candidate.device.deviceId}.${additionKey(privacy, candidate).toString('base64url')}`;
}

/** Parses the id of an addition. @returns undefined when the text is no such id. */
export function parseAdditionId(id: string): { deviceId: string; key: Buffer } | undefined {
  const [deviceId, keyText, ...rest] = id.split('.');
  if (deviceId === undefined || keyText === undefined || rest.length > 0) return undefined;
  const key = Buffer.from(keyText, 'base64url');
  return key.length === keySizeBytes ? { deviceId, key } : undefined;
}

export function sealClaim(privacy: Privacy, addition: Buffer, claim: AdditionClaim): Buffer {
  return privacy.sealText('device-claim', [addition], JSON.stringify(claim));
}

export function openClaim(privacy: Privacy, addition: Buffer, sealedClaim: Buffer): AdditionClaim {
  return JSON.parse(privacy.unsealText('device-claim', [addition], sealedClaim)) as AdditionClaim;
}
