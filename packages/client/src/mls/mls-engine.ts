/** The MLS identity of one device: serialized private and public parts. Only the engine reads the bytes. */
export interface DeviceIdentity {
  /** DID in the credential. */
  readonly did: string;
  /** Raw signature public key, as `registerDevice` takes it. */
  readonly signaturePublicKey: Uint8Array;
  /** Everything that the engine needs; secret. */
  readonly secret: Uint8Array;
}

/** A key package of this device. */
export interface OwnKeyPackage {
  /** KeyPackageRef in lower-case hex. */
  readonly ref: string;
  /** Bare KeyPackage. */
  readonly keyPackage: Uint8Array;
  /** Private part; secret, and used once unless the package is a last-resort package. */
  readonly secret: Uint8Array;
  readonly isLastResort: boolean;
  /** End of the lifetime in the key package, in milliseconds since the epoch of Unix. */
  readonly expiresAtMs: number;
}

/** The state of one group, serialized; secret. Each value is used once: every operation returns the next one. */
export type GroupState = Uint8Array;

export interface GroupMember {
  readonly leafIndex: number;
  readonly did: string;
  /** Encryption key of the leaf in lower-case hex; a leaf that was added again has another one. */
  readonly leafKey: string;
}

export interface GroupDescription {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly members: readonly GroupMember[];
  /** Leaf of this device. */
  readonly ownLeafIndex: number;
}

/** A change that a commit makes. */
export type GroupChange =
  | { readonly kind: 'add'; readonly keyPackage: Uint8Array }
  | { readonly kind: 'remove'; readonly leafIndex: number };

/** A commit that takes effect when the service has accepted it. */
export interface PendingCommit {
  /** MLSMessage. */
  readonly commit: Uint8Array;
  /** MLSMessage with one Welcome for all added devices. */
  readonly welcome: Uint8Array | undefined;
  /** MLSMessage with the GroupInfo of the next epoch, its ratchet tree and external public key. */
  readonly groupInfo: Uint8Array;
  /** The epoch in which the commit was made. */
  readonly epoch: number;
  /** State after the commit. */
  readonly nextState: GroupState;
}

/** A leaf that a commit removed. */
export interface RemovedLeaf {
  readonly did: string;
  /** The person who proposed the Remove: the committer, unless the commit refers to a proposal of another member. */
  readonly proposerDid: string;
}

/** What a commit did, from the credentials of the leaves. */
export interface CommitEffect {
  /** DID of the leaf that signed the commit; of the person who joins, if it is an external commit. */
  readonly committerDid: string;
  /** DIDs of all leaves that it added. */
  readonly addedDids: readonly string[];
  /** Those of `addedDids` that had no leaf before. */
  readonly newDids: readonly string[];
  readonly removed: readonly RemovedLeaf[];
  /** Whether it gave a leaf that stays another DID. */
  readonly changesCredential: boolean;
}

export type ProcessedMessage =
  | {
      readonly kind: 'application';
      readonly nextState: GroupState;
      readonly content: Uint8Array;
      readonly senderDid: string;
    }
  | { readonly kind: 'proposal'; readonly nextState: GroupState }
  /** `isRemoved`: the commit removed the leaf of this device, and the next state has no keys of the epoch. */
  | {
      readonly kind: 'commit';
      readonly nextState: GroupState;
      readonly isRemoved: boolean;
      readonly effect: CommitEffect;
    };

/** The MLS library behind the conversations. Operations never change a state that they were given. */
export interface MlsEngine {
  /** Name of the cipher suite, as the service writes it. */
  readonly cipherSuite: string;
  createIdentity(did: string): Promise<DeviceIdentity>;
  createKeyPackage(identity: DeviceIdentity, options: { readonly isLastResort: boolean }): Promise<OwnKeyPackage>;
  /** Starts a group with this device alone, in epoch 0. */
  createGroup(identity: DeviceIdentity, groupId: Uint8Array): Promise<GroupState>;
  /** KeyPackageRefs in lower-case hex for which the Welcome (MLSMessage) has secrets. */
  keyPackageRefsOf(welcome: Uint8Array): readonly string[];
  /** @throws Error when the Welcome cannot be used with this key package. */
  joinByWelcome(welcome: Uint8Array, keyPackage: OwnKeyPackage): Promise<GroupState>;
  /**
   * Makes an external commit, which replaces the leaf with the signature key of this device if the group has one.
   * @throws Error when the GroupInfo (MLSMessage) cannot be used.
   */
  joinExternally(groupInfo: Uint8Array, identity: DeviceIdentity): Promise<PendingCommit>;
  /**
   * Commits `changes` and the proposals of the epoch; without changes it renews the keys of this device. It leaves out Removes that another
   * person than the owner of the leaf proposed, and Adds of people who are not in the group.
   * @param which `all`: leaves out none.
   */
  commit(state: GroupState, changes: readonly GroupChange[], which?: 'all'): Promise<PendingCommit>;
  /** @returns an MLSMessage without padding. */
  encrypt(
    state: GroupState,
    content: Uint8Array,
  ): Promise<{ readonly message: Uint8Array; readonly nextState: GroupState }>;
  /** @throws Error when the message (MLSMessage) is not valid in this state. */
  process(state: GroupState, message: Uint8Array): Promise<ProcessedMessage>;
  /** GroupInfo of the current epoch as an MLSMessage, with ratchet tree and external public key. */
  exportGroupInfo(state: GroupState): Promise<Uint8Array>;
  describe(state: GroupState): GroupDescription;
}
