import type { WaitingDevice } from '#domain/devices/device.ts';
import type { Privacy } from '#privacy/privacy.ts';

/** A device that a member should add to a conversation of its owner (lexicon `pendingDeviceAddition`). */
export interface PendingAddition {
  readonly id: string;
  readonly groupId: Buffer;
  readonly did: string;
  readonly deviceId: string;
  readonly deviceName: string;
  /** Who is adding it now, if somebody is. */
  readonly claimedBy: string | undefined;
  readonly createdAt: Date;
}

/** One conversation that a device waits for. */
export interface Candidate {
  readonly device: WaitingDevice;
  readonly groupId: Buffer;
}

/** The conversations that these devices wait for, those for which `wants` holds (by hex id). */
export function candidatesOf(
  devices: readonly WaitingDevice[],
  wants: (conversationId: string) => boolean,
): Candidate[] {
  return devices.flatMap((device) =>
    device.groupIds.filter((groupId) => wants(groupId.toString('hex'))).map((groupId) => ({ device, groupId })),
  );
}

/** What is stored of an addition, sealed: who claimed it until when; whoever completed it holds it for good. */
export interface AdditionClaim {
  readonly state: 'claimed' | 'completed';
  readonly by: string;
  readonly untilMs: number;
}

const keySizeBytes = 16;

/** Scoped to the client of the device, because a new signature key has to be added anew. */
export function additionKey(privacy: Privacy, { device, groupId }: Candidate): Buffer {
  return privacy.pseudonym('device-addition', [device.deviceId, device.tag], groupId);
}

/** The id of an addition follows from what it is, so that no row has to exist for it. */
export function additionId(privacy: Privacy, candidate: Candidate): string {
  return `${candidate.device.deviceId}.${additionKey(privacy, candidate).toString('base64url')}`;
}

/** The parts of an id, or undefined for text that is none. */
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
