import {
  acceptAll,
  type ClientState,
  createApplicationMessage,
  createCommit,
  type CreateCommitResult,
  createGroup,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  emptyPskIndex,
  encodeMlsMessage,
  joinGroup,
  joinGroupExternal,
  type LeafNode,
  type PaddingConfig,
  processMessage,
  type Proposal,
} from 'ts-mls';
import { type GroupInfoTBS, signGroupInfo } from 'ts-mls/groupInfo.js';
import { decodeKeyPackage } from 'ts-mls/keyPackage.js';

import { unwrapPadded } from '#mls/encoding/padding-envelope.ts';

import { decodeMessage, didOf } from './mls-decoding.ts';
import { type KeyPackageOptions, MlsDevice, type PublishedKeyPackage } from './mls-device.ts';
import { fitToBucket, wrapInEnvelope } from './mls-padding.ts';

export interface MlsMemberOptions {
  readonly did: string;
  readonly cipherSuite: string;
}

/** The wire format of a commit; `private` (PrivateMessage) hides its committer and its proposals. Default: `public`. */
export interface CommitOptions {
  readonly wire?: 'public' | 'private';
}

/** A commit that waits for `acceptCommit` or `rejectCommit`. */
export interface PendingCommit {
  /** MLSMessage. */
  readonly commit: Uint8Array;
  /** MLSMessage with one Welcome for all added members; undefined without any. */
  readonly welcome: Uint8Array | undefined;
  /** MLSMessage with the GroupInfo of the new epoch and its ratchet tree. */
  readonly groupInfo: Uint8Array;
  /** The epoch that the commit ends. */
  readonly epoch: number;
}

/** The place of the padding: around the message, as in public clients, or inside the encryption. */
export type PaddingMode = 'envelope' | 'inner';

export type Received =
  | { readonly kind: 'application'; readonly text: string }
  | { readonly kind: 'proposal' }
  /** `removed`: this member is no longer in the group. */
  | { readonly kind: 'commit'; readonly removed: boolean };

function additionOf(bytes: Uint8Array): Proposal {
  const decoded = decodeKeyPackage(bytes, 0);
  if (decoded === undefined) throw new TypeError('not a KeyPackage');
  return { proposalType: 'add', add: { keyPackage: decoded[0] } };
}

/**
 * A real MLS client in one group, built on ts-mls, for tests, demo and bench. Makes no network requests. Each call on a member must be
 * awaited before the next one.
 */
export class MlsMember {
  readonly device: MlsDevice;
  #state: ClientState | undefined;
  #pending: ClientState | undefined;

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
    return Number(this.#current().groupContext.epoch);
  }

  get groupId(): Uint8Array {
    return this.#current().groupContext.groupId;
  }

  /** A value that two members share exactly when they have the same secrets of the same epoch and group. */
  get epochAuthenticator(): string {
    return Buffer.from(this.#current().keySchedule.epochAuthenticator).toString('hex');
  }

  /** DIDs of the members, one per leaf, in leaf order. */
  members(): string[] {
    return this.#leaves().map(({ leaf }) => didOf(leaf));
  }

  createKeyPackage(options: KeyPackageOptions = {}): Promise<PublishedKeyPackage> {
    return this.device.createKeyPackage(options);
  }

  /** Creates a group with one member at epoch 0. */
  async createGroup(groupId: Uint8Array): Promise<void> {
    const { publicPackage, privatePackage } = await this.device.makeKeyPackage();
    const { suite, clientConfig } = this.device;
    this.#state = await createGroup(groupId, publicPackage, privatePackage, [], suite, clientConfig);
  }

  /** Commits the addition of the owners of `keyPackages` (bare KeyPackages). */
  addMembers(keyPackages: readonly Uint8Array[], options: CommitOptions = {}): Promise<PendingCommit> {
    return this.#commit(keyPackages.map(additionOf), options);
  }

  /** Commits the removal of every leaf of `did`. */
  removeMember(did: string, options: CommitOptions = {}): Promise<PendingCommit> {
    const leaves = this.#leaves().filter(({ leaf }) => didOf(leaf) === did);
    if (leaves.length === 0) throw new RangeError('this DID is not in the group');
    const proposals = leaves.map(({ index }): Proposal => ({ proposalType: 'remove', remove: { removed: index } }));
    return this.#commit(proposals, options);
  }

  /** Commits the removal of one leaf. */
  removeLeaf(leaf: number): Promise<PendingCommit> {
    return this.#commit([{ proposalType: 'remove', remove: { removed: leaf } }], {});
  }

  /** Commits the removal of every leaf of `did` and the addition of the owners of `keyPackages`. */
  replaceMember(did: string, keyPackages: readonly Uint8Array[]): Promise<PendingCommit> {
    const removals = this.#leaves().filter(({ leaf }) => didOf(leaf) === did);
    const proposals = removals.map(({ index }): Proposal => ({ proposalType: 'remove', remove: { removed: index } }));
    return this.#commit([...proposals, ...keyPackages.map(additionOf)], {});
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
  async proposeRemoval(did: string, { wire = 'private' }: CommitOptions = {}): Promise<Uint8Array> {
    const target = this.#leaves().find(({ leaf }) => didOf(leaf) === did);
    if (target === undefined) throw new RangeError('this DID is not in the group');
    return this.#propose({ proposalType: 'remove', remove: { removed: target.index } }, wire);
  }

  /** Proposes the addition of the owner of `keyPackage` (a bare KeyPackage) in a PublicMessage. */
  async proposeAddition(keyPackage: Uint8Array): Promise<Uint8Array> {
    return this.#propose(additionOf(keyPackage), 'public');
  }

  async #propose(proposal: Proposal, wire: 'public' | 'private'): Promise<Uint8Array> {
    const { suite } = this.device;
    const { newState, message } = await createProposal(this.#current(), wire === 'public', proposal, suite);
    this.#state = newState;
    return encodeMlsMessage(message);
  }

  /** Joins with a Welcome (MLSMessage) for one of this device's key packages. */
  async joinByWelcome(welcome: Uint8Array): Promise<void> {
    const message = decodeMessage(welcome);
    if (message.wireformat !== 'mls_welcome') throw new TypeError('not a Welcome');
    for (const { newMember } of message.welcome.secrets) {
      const own = this.device.keyPackage(Buffer.from(newMember).toString('hex'));
      if (own === undefined) continue;
      const { suite, clientConfig } = this.device;
      this.#state = await joinGroup(
        message.welcome,
        own.publicPackage,
        own.privatePackage,
        emptyPskIndex,
        suite,
        undefined,
        undefined,
        clientConfig,
      );
      return;
    }
    throw new RangeError('the Welcome is not for this device');
  }

  /**
   * Makes an external commit from a GroupInfo (MLSMessage with ratchet tree); pending until `acceptCommit`.
   * @param mode `resync` replaces this member's old leaf (lost state), `join` adds a new one.
   */
  async externalJoin(groupInfo: Uint8Array, mode: 'join' | 'resync' = 'join'): Promise<PendingCommit> {
    const message = decodeMessage(groupInfo);
    if (message.wireformat !== 'mls_group_info') throw new TypeError('not a GroupInfo');
    const { publicPackage, privatePackage } = await this.device.makeKeyPackage();
    const { publicMessage, newState } = await joinGroupExternal(
      message.groupInfo,
      publicPackage,
      privatePackage,
      mode === 'resync',
      this.device.suite,
      undefined,
      this.device.clientConfig,
    );
    this.#pending = newState;
    return {
      commit: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage }),
      welcome: undefined,
      groupInfo: await this.#groupInfoOf(newState),
      epoch: Number(message.groupInfo.groupContext.epoch),
    };
  }

  /** Encrypts `text` into a padded message of the smallest sufficient bucket. */
  async encrypt(text: string, padding: PaddingMode = 'envelope'): Promise<Uint8Array> {
    const plain = new TextEncoder().encode(text);
    const [state, message] = await this.#encryptWith(plain, { kind: 'padUntilLength', padUntilLength: 0 });
    if (padding === 'envelope') {
      this.#state = state;
      return wrapInEnvelope(message);
    }
    return this.#encryptToBucket(plain, message);
  }

  /** Processes a message, with or without a padding envelope. A member cannot receive its own messages and commits. */
  async receive(bytes: Uint8Array): Promise<Received> {
    const message = decodeMessage(unwrapPadded(bytes));
    if (message.wireformat !== 'mls_private_message' && message.wireformat !== 'mls_public_message') {
      throw new TypeError('not a group message');
    }
    const before = this.#current();
    const result = await processMessage(message, before, emptyPskIndex, acceptAll, this.device.suite);
    this.#state = result.newState;
    if (result.kind === 'applicationMessage') {
      return { kind: 'application', text: new TextDecoder().decode(result.message) };
    }
    const removed = result.newState.groupActiveState.kind === 'removedFromGroup';
    const isSameEpoch = result.newState.groupContext.epoch === before.groupContext.epoch;
    return isSameEpoch && !removed ? { kind: 'proposal' } : { kind: 'commit', removed };
  }

  /** Exports the GroupInfo of the current epoch with ratchet tree and external key, as an MLSMessage. */
  exportGroupInfo(): Promise<Uint8Array> {
    return this.#groupInfoOf(this.#current());
  }

  /** Signs `tbs` as this member without any check. @returns an MLSMessage. */
  async signGroupInfo(tbs: GroupInfoTBS): Promise<Uint8Array> {
    const groupInfo = await signGroupInfo(tbs, this.#current().signaturePrivateKey, this.device.suite.signature);
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo });
  }

  #current(): ClientState {
    if (this.#state === undefined) throw new Error('this member is in no group yet');
    return this.#state;
  }

  #leaves(): { index: number; leaf: LeafNode }[] {
    return this.#current().ratchetTree.flatMap((node, nodeIndex) =>
      node?.nodeType === 'leaf' ? [{ index: nodeIndex / 2, leaf: node.leaf }] : [],
    );
  }

  async #commit(extraProposals: Proposal[], { wire = 'public' }: CommitOptions): Promise<PendingCommit> {
    const state = this.#current();
    const result: CreateCommitResult = await createCommit(
      { state, cipherSuite: this.device.suite },
      { wireAsPublicMessage: wire === 'public', extraProposals, ratchetTreeExtension: true },
    );
    this.#pending = result.newState;
    const { welcome } = result;
    return {
      commit: encodeMlsMessage(result.commit),
      welcome:
        welcome === undefined ? undefined : encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome }),
      groupInfo: await this.#groupInfoOf(result.newState),
      epoch: Number(state.groupContext.epoch),
    };
  }

  async #groupInfoOf(state: ClientState): Promise<Uint8Array> {
    const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(state, [], this.device.suite);
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo });
  }

  async #encryptWith(plain: Uint8Array, paddingConfig: PaddingConfig): Promise<[ClientState, Uint8Array]> {
    const state = this.#current();
    const padding = { ...state, clientConfig: { ...state.clientConfig, paddingConfig } };
    const { newState, privateMessage } = await createApplicationMessage(padding, plain, this.device.suite);
    const message = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage });
    return [{ ...newState, clientConfig: state.clientConfig }, message];
  }

  /** Pads inside the encryption so that the message fills a bucket; `unpadded` is used to measure the cleartext fields. */
  async #encryptToBucket(plain: Uint8Array, unpadded: Uint8Array): Promise<Uint8Array> {
    const sample = decodeMessage(unpadded);
    if (sample.wireformat !== 'mls_private_message') throw new TypeError('not a PrivateMessage');
    const { bucket, plainSizeBytes } = fitToBucket(unpadded.length, sample.privateMessage.ciphertext.length);
    const padding: PaddingConfig = { kind: 'padUntilLength', padUntilLength: plainSizeBytes };
    const [state, message] = await this.#encryptWith(plain, padding);
    if (message.length !== bucket) throw new RangeError('the padding missed its bucket');
    this.#state = state;
    return message;
  }
}
