import { decode, encode } from '@atproto/lex-cbor';
import type { CursorCodec } from '#domain/events/cursor.ts';
import { isActive, readEntitlements, entitlementKey } from '#domain/membership/members/read-entitlements.ts';
import type { EphemeralMessage } from '#domain/messages/send-ephemeral-message.ts';
import type { Clock } from '#platform/clock.ts';
import { SealError } from '#privacy/privacy.ts';
import type { Privacy } from '#privacy/privacy.ts';
import type { Database } from '#storage/connection/database.ts';
import type { Notifier } from '#storage/notifications/notifier.ts';
import { ephemeralFrame, typingFrame } from './frames.ts';
import type { Frame } from './frames.ts';
import type { Hub } from './hub.ts';
import { announceDevice } from './new-devices.ts';

/** A notice that a member has started or stopped typing. */
export interface Typing {
  readonly groupId: Buffer;
  readonly did: string;
  readonly isTyping: boolean;
}

/**
 * Sends records to the open streams of all servers. The records are sealed, go through the notifier, and are never
 * stored.
 */
export interface EphemeralBus {
  sendMessage(message: EphemeralMessage): void;
  sendTyping(typing: Typing): void;
  /** Announces a device that waits to be added to its owner's conversations. */
  sendNewDevice(deviceId: string): void;
  /** Announces that key packages of these people were claimed. */
  sendClaims(dids: readonly string[]): void;
}

interface BusDeps {
  readonly database: Database;
  readonly privacy: Privacy;
  readonly clock: Clock;
  readonly notifier: Notifier;
  readonly hub: Hub;
  readonly codec: CursorCodec;
  readonly deviceWaitDays: number;
  readonly onClaims: (dids: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

type BusRecord =
  | GroupRecord
  | { readonly kind: 'newDevice'; readonly deviceId: string }
  | { readonly kind: 'claims'; readonly dids: string[] };

interface GroupRecord {
  readonly kind: 'message' | 'typing';
  readonly groupId: Uint8Array;
  readonly id?: string;
  readonly epoch?: number;
  readonly receivedAtMs?: number;
  readonly ciphertext?: Uint8Array;
  readonly did?: string;
  readonly isTyping?: boolean;
}

export function createEphemeralBus(deps: BusDeps): EphemeralBus {
  deps.notifier.onBroadcast((payload) => {
    const record = unsealRecord(deps.privacy, payload);
    if (record !== undefined) deliver(deps, record).catch(deps.onError);
  });
  const send = (record: BusRecord): void =>
    deps.notifier.broadcast(deps.privacy.seal('bus', [], encode({ ...record })));
  return {
    sendMessage: ({ id, groupId, epoch, receivedAt, ciphertext }) =>
      send({ kind: 'message', id, groupId, epoch, receivedAtMs: receivedAt.getTime(), ciphertext }),
    sendTyping: (typing) => send({ kind: 'typing', ...typing }),
    sendNewDevice: (deviceId) => send({ kind: 'newDevice', deviceId }),
    sendClaims: (dids) => send({ kind: 'claims', dids: [...dids] }),
  };
}

function unsealRecord(privacy: Privacy, payload: Buffer): BusRecord | undefined {
  try {
    // Only servers with the key can seal a record, so its shape needs no check.
    return decode(privacy.unseal('bus', [], payload)) as unknown as BusRecord;
  } catch (error) {
    if (error instanceof SealError) return undefined;
    throw error;
  }
}

async function deliver(deps: BusDeps, record: BusRecord): Promise<void> {
  if (record.kind === 'newDevice') return announceDevice(deps, record.deviceId);
  if (record.kind === 'claims') return deps.onClaims(record.dids);
  const groupId = Buffer.from(record.groupId);
  if (!deps.hub.hasListeners(groupId)) return;
  const entitlements = await readEntitlements(
    { db: deps.database.db, privacy: deps.privacy },
    deps.hub.listenersOf([groupId]),
  );
  const frame = frameOf(deps, groupId, record);
  deps.hub.deliverNow(groupId, frame, (did) => {
    const membership = entitlements.get(entitlementKey(groupId, did));
    return membership !== undefined && isActive(membership) && did !== record.did;
  });
}

function frameOf(deps: BusDeps, groupId: Buffer, record: GroupRecord): Frame {
  const cursor = deps.codec.encode({ ...deps.hub.position, receivedAtMs: deps.clock.nowMs() });
  if (record.kind === 'typing') {
    return typingFrame(cursor, { groupId, did: record.did ?? '', isTyping: record.isTyping === true });
  }
  return ephemeralFrame(cursor, {
    id: record.id ?? '',
    groupId,
    epoch: record.epoch ?? 0,
    receivedAt: new Date(record.receivedAtMs ?? 0),
    ciphertext: Buffer.from(record.ciphertext ?? []),
  });
}
