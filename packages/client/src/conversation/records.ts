import { parseJson, stringifyJson } from '../api/bytes.ts';
import type { MethodName, Methods } from '../api/methods.ts';
import type { DeviceIdentity, GroupState, OwnKeyPackage } from '../mls/mls-engine.ts';
import type { Storage, StorageChange } from '../storage/storage.ts';
import type { CommitRefusalReason } from './check-commit.ts';
import type { Context } from './context.ts';

/** This device, stored under `device`. */
export interface DeviceRecord {
  readonly identity: DeviceIdentity;
  /** Id that the device keeps, with which a repeated registration is identified. */
  readonly deviceUuid: string;
  /** Id that the service gave; absent until the registration has succeeded. */
  readonly deviceId?: string | undefined;
  /** Cursor of the last event of the stream whose effects are stored. */
  readonly cursor?: string | undefined;
}

/** A call that sends a commit. */
export type CommitCall = {
  readonly [Name in MethodName]: { readonly name: Name; readonly request: Methods[Name]['request'] };
}['addMembers' | 'commit' | 'createConvo' | 'processExternalCommit' | 'removeMember'];

/** A commit that was sent, or is about to be, and whose result is not known. */
export interface PendingRecord {
  /** The epoch in which it was made. */
  readonly epoch: number;
  /** SHA-256 of the commit, by which the device identifies it in the log. */
  readonly digest: Uint8Array;
  readonly nextState: GroupState;
  readonly call: CommitCall;
  /** The call creates or joins the group, so that the state of the record is already the one after it. */
  readonly isEntry?: true | undefined;
}

/** A message that was sent, or is about to be, and that has not come back from the log. */
export interface OutgoingMessage {
  readonly messageId: string;
  readonly content: Uint8Array;
  readonly epoch: number;
  /** Padded MLSMessage. */
  readonly ciphertext: Uint8Array;
}

/** One conversation, stored under `group/<convoId>`. */
export interface GroupRecord {
  readonly state: GroupState;
  /** Sequence number of the last processed message. */
  readonly lastSeq: number;
  readonly pending?: PendingRecord | undefined;
  readonly outgoing: readonly OutgoingMessage[];
  /** How this device came into the group; absent for its creator. */
  readonly joined?: JoinRecord | undefined;
  /**
   * `state` is of no use: the device has to join, and keeps what it has not sent and how far it has read. `anew`: it was in the group before.
   */
  readonly needsJoin?: 'first' | 'anew' | undefined;
  /** The commit that this device does not apply; `state` is of the epoch before it. */
  readonly refused?: RefusedCommit | undefined;
}

/** A commit that the committer's role forbids. */
export interface RefusedCommit {
  /** The epoch that the commit would start. */
  readonly epoch: number;
  readonly committerDid: string;
  readonly reason: CommitRefusalReason;
}

/** A Welcome or an external commit; the device cannot decrypt what others sent before. */
export interface JoinRecord {
  /** First epoch of which the device can read messages. */
  readonly epoch: number;
  /** Whether the device was in the group before, so that the app learns which messages it misses. */
  readonly isRejoin: boolean;
}

/** A message that the app has not processed yet, stored under `inbox/<convoId>/<seq>`. */
export interface InboxRecord {
  readonly messageId: string;
  readonly senderDid: string;
  readonly content: Uint8Array;
  readonly receivedAt: string;
}

export const keys = {
  device: 'device',
  group: (convoId: string): string => `group/${convoId}`,
  keyPackage: (ref: string): string => `key-package/${ref}`,
  /** Sorts as the numbers do. */
  inbox: (convoId: string, seq: number): string => `inbox/${convoId}/${String(seq).padStart(16, '0')}`,
};

/** A change that stores `value`, or deletes the key. */
export function change(key: string, value: object | undefined): StorageChange {
  return { key, value: value === undefined ? undefined : new TextEncoder().encode(stringifyJson(value)) };
}

export const readDevice = (storage: Storage): Promise<DeviceRecord | undefined> =>
  readRecord<DeviceRecord>(storage, keys.device);
export const readGroup = (storage: Storage, convoId: string): Promise<GroupRecord | undefined> =>
  readRecord<GroupRecord>(storage, keys.group(convoId));
export const readKeyPackage = (storage: Storage, ref: string): Promise<OwnKeyPackage | undefined> =>
  readRecord<OwnKeyPackage>(storage, keys.keyPackage(ref));

/** Tells the app of all messages that it has not processed, in order within each conversation. */
export async function deliverInbox({ storage, emit }: Pick<Context, 'storage' | 'emit'>): Promise<void> {
  for (const key of (await storage.keys('inbox/')).sort()) {
    const [, convoId = '', seq = ''] = key.split('/');
    const record = await readRecord<InboxRecord>(storage, key);
    if (record !== undefined) await emit({ kind: 'message', convoId, seq: Number(seq), ...record });
    await storage.write([change(key, undefined)]);
  }
}

/** Ids of all conversations of which this device has the keys. */
export async function readConvoIds(storage: Storage): Promise<string[]> {
  return (await storage.keys('group/')).map((key) => key.slice('group/'.length));
}

/** Reads what `change` wrote. */
async function readRecord<Value>(storage: Storage, key: string): Promise<Value | undefined> {
  const bytes = await storage.read(key);
  return bytes === undefined ? undefined : (parseJson(new TextDecoder().decode(bytes)) as Value);
}
