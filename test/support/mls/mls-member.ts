import {
  type ClientState,
  createApplicationMessage,
  createCommit,
  createProposal,
  decodeGroupState,
  encodeGroupState,
  encodeMlsMessage,
  type Proposal,
} from 'ts-mls';
import { type GroupInfoTBS, signGroupInfo } from 'ts-mls/groupInfo.js';
import { decodeKeyPackage } from 'ts-mls/keyPackage.js';

import { bucketSizeBytes, pad, unpad } from '#client/conversation/padding.ts';
import type { GroupChange, GroupDescription, GroupState, PendingCommit } from '#client/mls/mls-engine.ts';

import { decodeMessage } from './mls-decoding.ts';
import { type KeyPackageOptions, MlsDevice, type PublishedKeyPackage } from './mls-device.ts';

export interface MlsMemberOptions {
  readonly did: string;
  readonly cipherSuite: string;
}

/** The wire format of a commit; `private` (PrivateMessage) hides its committer and its proposals. Default: `public`. */
export interface CommitOptions {
  readonly wire?: 'public' | 'private';
}

/** The place of the padding: around the message, as in public clients, or inside the encryption. */
export type PaddingMode = 'envelope' | 'inner';

export type Received =
  | { readonly kind: 'application'; readonly text: string }
  | { readonly kind: 'proposal' }
  /** `removed`: this member is no longer in the group. */
  | { readonly kind: 'commit'; readonly removed: boolean };

/** The tag size of every AEAD of RFC 9420. */
const aeadTagSizeBytes = 16;

/**
 * A real MLS client in one group: the engine of the client package, and what tests of the server need besides: proposals, commits in
 * PrivateMessages, padding inside the encryption, and GroupInfos with changed fields. Makes no network requests. Each call on a member
 * must be awaited before the next one.
 */
export class MlsMember {
  readonly device: MlsDevice;
  #state: GroupState | undefined;
  #pending: GroupState | undefined;

  private constructor(device: MlsDevice) {
    this.device = device;
  }

  static async create({ did, cipherSuite }: MlsMemberOptions): Promise<MlsMember> {
    return new MlsMember(await MlsDevice.create(did, cipherSuite));
  }

  /** Returns a member of another group on the same device, with the same signature key and key packages. */
  inAnotherGroup(): MlsMember {
    return new MlsMember(this.device);
  }

  get did(): string {
    return this.device.did;
  }

  get epoch(): number {
    return this.#group().epoch;
  }

  get groupId(): Uint8Array {
    return this.#group().groupId;
  }

  /** A value that two members share exactly when they have the same secrets of the same epoch and group. */
  get epochAuthenticator(): string {
    return Buffer.from(this.#clientState().keySchedule.epochAuthenticator).toString('hex');
  }

  /** DIDs of the members, one per leaf, in leaf order. */
  members(): string[] {
    return this.#group().members.map(({ did }) => did);
  }

  createKeyPackage(options: KeyPackageOptions = {}): Promise<PublishedKeyPackage> {
    return this.device.createKeyPackage(options);
  }

  /** Creates a group with one member at epoch 0. */
  async createGroup(groupId: Uint8Array): Promise<void> {
    this.#state = await this.device.engine.createGroup(this.device.identity, groupId);
  }

  /** Commits the addition of the owners of `keyPackages` (bare KeyPackages). */
  addMembers(keyPackages: readonly Uint8Array[], options: CommitOptions = {}): Promise<PendingCommit> {
    return this.#commit(keyPackages.map(additionOf), options);
  }

  /** Commits the removal of every leaf of `did`. */
  removeMember(did: string, options: CommitOptions = {}): Promise<PendingCommit> {
    return this.#commit(this.#removalsOf(did), options);
  }

  /** Commits the removal of one leaf. */
  removeLeaf(leafIndex: number): Promise<PendingCommit> {
    return this.#commit([{ kind: 'remove', leafIndex }], {});
  }

  /** Commits the removal of every leaf of `did` and the addition of the owners of `keyPackages`. */
  replaceMember(did: string, keyPackages: readonly Uint8Array[]): Promise<PendingCommit> {
    return this.#commit([...this.#removalsOf(did), ...keyPackages.map(additionOf)], {});
  }

  /** Commits fresh keys of this member and all proposals received in this epoch. */
  emptyCommit(options: CommitOptions = {}): Promise<PendingCommit> {
    return this.#commit([], options);
  }

  /** Enters the epoch of the pending commit, after the service accepted it. */
  acceptCommit(): void {
    if (this.#pending === undefined) throw new Error('no commit is pending');
    this.#state = this.#pending;
    this.#pending = undefined;
  }

  /** Drops the pending commit, after the service accepted another one. */
  rejectCommit(): void {
    this.#pending = undefined;
  }

  /**
   * Proposes the removal of the first leaf of `did`, by default in a PrivateMessage; the next commit of any member applies it. Until
   * then ts-mls encrypts no messages on this member and on those who received the proposal.
   */
  proposeRemoval(did: string, { wire = 'private' }: CommitOptions = {}): Promise<Uint8Array> {
    const [removal] = this.#removalsOf(did);
    if (removal === undefined) throw new RangeError('this DID is not in the group');
    return this.#propose(proposalOf(removal), wire);
  }

  /** Proposes the addition of the owner of `keyPackage` (a bare KeyPackage) in a PublicMessage. */
  proposeAddition(keyPackage: Uint8Array): Promise<Uint8Array> {
    return this.#propose(proposalOf(additionOf(keyPackage)), 'public');
  }

  async #propose(proposal: Proposal, wire: 'public' | 'private'): Promise<Uint8Array> {
    const { suite } = this.device;
    const { newState, message } = await createProposal(this.#clientState(), wire === 'public', proposal, suite);
    this.#state = encodeGroupState(newState);
    return encodeMlsMessage(message);
  }

  /** Joins with a Welcome (MLSMessage) for one of this device's key packages. */
  async joinByWelcome(welcome: Uint8Array): Promise<void> {
    const { engine } = this.device;
    const [own] = engine.keyPackageRefsOf(welcome).flatMap((ref) => this.device.storedKeyPackage(ref) ?? []);
    if (own === undefined) throw new RangeError('the Welcome is not for this device');
    this.#state = await engine.joinByWelcome(welcome, own);
  }

  /** Makes an external commit from a GroupInfo (MLSMessage with ratchet tree), which replaces this device's leaf if there is one. */
  async externalJoin(groupInfo: Uint8Array): Promise<PendingCommit> {
    const pending = await this.device.engine.joinExternally(groupInfo, this.device.identity);
    this.#pending = pending.nextState;
    return pending;
  }

  /** Encrypts `text` into a padded message of the smallest sufficient bucket. */
  async encrypt(text: string, padding: PaddingMode = 'envelope'): Promise<Uint8Array> {
    const plain = new TextEncoder().encode(text);
    const { message, nextState } = await this.device.engine.encrypt(this.#current(), plain);
    if (padding === 'inner') return this.#encryptToBucket(plain, message);
    this.#state = nextState;
    return pad(message);
  }

  /** Processes a message, with or without a padding envelope. A member cannot receive its own messages and commits. */
  async receive(bytes: Uint8Array): Promise<Received> {
    const processed = await this.device.engine.process(this.#current(), unpad(bytes));
    this.#state = processed.nextState;
    if (processed.kind === 'proposal') return { kind: 'proposal' };
    return processed.kind === 'commit'
      ? { kind: 'commit', removed: processed.isRemoved }
      : { kind: 'application', text: new TextDecoder().decode(processed.content) };
  }

  /** Exports the GroupInfo of the current epoch with ratchet tree and external key, as an MLSMessage. */
  exportGroupInfo(): Promise<Uint8Array> {
    return this.device.engine.exportGroupInfo(this.#current());
  }

  /** Signs `tbs` as this member without any check. @returns an MLSMessage. */
  async signGroupInfo(tbs: GroupInfoTBS): Promise<Uint8Array> {
    const groupInfo = await signGroupInfo(tbs, this.#clientState().signaturePrivateKey, this.device.suite.signature);
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo });
  }

  #current(): GroupState {
    if (this.#state === undefined) throw new Error('this member is in no group yet');
    return this.#state;
  }

  #group(): GroupDescription {
    return this.device.engine.describe(this.#current());
  }

  /** The state as ts-mls has it. */
  #clientState(): ClientState {
    const decoded = decodeGroupState(this.#current(), 0);
    if (decoded === undefined) throw new TypeError('not the state of a group');
    return { ...decoded[0], clientConfig: this.device.clientConfig };
  }

  #removalsOf(did: string): GroupChange[] {
    const leaves = this.#group().members.filter((member) => member.did === did);
    if (leaves.length === 0) throw new RangeError('this DID is not in the group');
    return leaves.map(({ leafIndex }) => ({ kind: 'remove', leafIndex }));
  }

  async #commit(changes: readonly GroupChange[], { wire = 'public' }: CommitOptions): Promise<PendingCommit> {
    const pending = await (wire === 'public'
      ? this.device.engine.commit(this.#current(), changes, 'all')
      : this.#privateCommit(changes.map(proposalOf)));
    this.#pending = pending.nextState;
    return pending;
  }

  async #privateCommit(extraProposals: Proposal[]): Promise<PendingCommit> {
    const { engine, suite: cipherSuite } = this.device;
    const { commit, welcome, newState } = await createCommit(
      { state: this.#clientState(), cipherSuite },
      { wireAsPublicMessage: false, extraProposals, ratchetTreeExtension: true },
    );
    const nextState = encodeGroupState(newState);
    return {
      commit: encodeMlsMessage(commit),
      welcome: welcome && encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome }),
      groupInfo: await engine.exportGroupInfo(nextState),
      epoch: this.epoch,
      nextState,
    };
  }

  /** Pads inside the encryption so that the message fills a bucket; `unpadded` is used to measure the cleartext fields. */
  async #encryptToBucket(plain: Uint8Array, unpadded: Uint8Array): Promise<Uint8Array> {
    const sample = decodeMessage(unpadded);
    if (sample.wireformat !== 'mls_private_message') throw new TypeError('not a PrivateMessage');
    const { bucket, plainSizeBytes } = fitToBucket(unpadded.length, sample.privateMessage.ciphertext.length);
    const { clientConfig, suite } = this.device;
    const paddingConfig = { kind: 'padUntilLength', padUntilLength: plainSizeBytes } as const;
    const state = { ...this.#clientState(), clientConfig: { ...clientConfig, paddingConfig } };
    const { newState, privateMessage } = await createApplicationMessage(state, plain, suite);
    const message = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage });
    if (message.length !== bucket) throw new RangeError('the padding missed its bucket');
    this.#state = encodeGroupState(newState);
    return message;
  }
}

function additionOf(keyPackage: Uint8Array): GroupChange {
  return { kind: 'add', keyPackage };
}

function proposalOf(change: GroupChange): Proposal {
  if (change.kind === 'remove') return { proposalType: 'remove', remove: { removed: change.leafIndex } };
  const decoded = decodeKeyPackage(change.keyPackage, 0);
  if (decoded === undefined) throw new TypeError('not a KeyPackage');
  return { proposalType: 'add', add: { keyPackage: decoded[0] } };
}

/** Returns the plaintext size with which a PrivateMessage fills its bucket. */
function fitToBucket(
  unpaddedSizeBytes: number,
  ciphertextSizeBytes: number,
): { bucket: number; plainSizeBytes: number } {
  const clearSizeBytes = unpaddedSizeBytes - ciphertextSizeBytes - lengthFieldSizeBytes(ciphertextSizeBytes);
  // The length field of the ciphertext may grow by two bytes.
  const bucket = bucketSizeBytes(unpaddedSizeBytes + 2);
  const roomSizeBytes = bucket - clearSizeBytes;
  const paddedSizeBytes = roomSizeBytes - lengthFieldSizeBytes(roomSizeBytes);
  return { bucket, plainSizeBytes: paddedSizeBytes - aeadTagSizeBytes };
}

function lengthFieldSizeBytes(sizeBytes: number): number {
  if (sizeBytes < 64) return 1;
  return sizeBytes < 16_384 ? 2 : 4;
}
