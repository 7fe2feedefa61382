import {
  ciphersuites,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPubAndRatchetTree,
  decodeGroupState,
  decodeMlsMessage,
  emptyPskIndex,
  encodeGroupState,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  processMessage,
} from 'ts-mls';
import type {
  CiphersuiteImpl,
  CiphersuiteName,
  ClientConfig,
  ClientState,
  Extension,
  MLSMessage,
  PrivateKeyPackage,
  Proposal,
} from 'ts-mls';
import { defaultClientConfig } from 'ts-mls/clientConfig.js';
import { decodeKeyPackage, encodeKeyPackage, makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import type { KeyPackage } from 'ts-mls/keyPackage.js';
import { decryptSenderData } from 'ts-mls/privateMessage.js';
import { encodeHex, parseJson, stringifyJson } from '../api/bytes.ts';
import { didOf, observeCommit, withoutForbiddenProposals } from './commit-effect.ts';
import { isTreeRefusal, joinByWelcome, joinExternally } from './join-any-tree.ts';
import type { JoinKeys } from './join-any-tree.ts';
import type {
  DeviceIdentity,
  GroupChange,
  GroupMember,
  GroupState,
  MlsEngine,
  OwnKeyPackage,
  PendingCommit,
  ProcessedMessage,
} from './mls-engine.ts';

/** Marks a last-resort key package (draft-ietf-mls-extensions). */
const lastResortExtension = 0x000a;
const secondsPerDay = 86_400n;
/** With a last-resort package others add people who are away for long. */
const lastResortLifetimeDays = 3_650n;
/** Clocks of clients differ. */
const clockSkewSeconds = 3_600n;

export interface TsMlsEngineOptions {
  /** Default: `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`. */
  readonly cipherSuite?: CiphersuiteName;
  /** Lifetime of one-time key packages; default: 30. */
  readonly keyPackageLifetimeDays?: number;
}

/** Keys of a device, as `DeviceIdentity.secret` has them. */
type IdentityKeys = Readonly<Record<'signKey' | 'publicKey', Uint8Array>>;

/**
 * An engine on ts-mls 1.6.
 * @throws TypeError when ts-mls does not have the cipher suite.
 */
export async function createTsMlsEngine(options: TsMlsEngineOptions = {}): Promise<MlsEngine> {
  const cipherSuite = options.cipherSuite ?? 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
  if (!Object.hasOwn(ciphersuites, cipherSuite)) throw new TypeError(`ts-mls has no cipher suite ${cipherSuite}`);
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName(cipherSuite));
  return new TsMlsEngine(suite, BigInt(options.keyPackageLifetimeDays ?? 30));
}

class TsMlsEngine implements MlsEngine {
  readonly #suite: CiphersuiteImpl;
  readonly #lifetimeDays: bigint;
  /** The client pads messages itself, to the size buckets of the service. */
  readonly #config: ClientConfig = {
    ...defaultClientConfig,
    paddingConfig: { kind: 'padUntilLength', padUntilLength: 0 },
  };

  constructor(suite: CiphersuiteImpl, lifetimeDays: bigint) {
    this.#suite = suite;
    this.#lifetimeDays = lifetimeDays;
  }

  get cipherSuite(): string {
    return this.#suite.name;
  }

  async createIdentity(did: string): Promise<DeviceIdentity> {
    const { signKey, publicKey } = await this.#suite.signature.keygen();
    return { did, signaturePublicKey: publicKey, secret: toBytes({ signKey, publicKey }) };
  }

  async createKeyPackage(
    identity: DeviceIdentity,
    { isLastResort }: { isLastResort: boolean },
  ): Promise<OwnKeyPackage> {
    const { publicPackage, privatePackage } = await this.#newKeyPackage(identity, isLastResort);
    const ref = await makeKeyPackageRef(publicPackage, this.#suite.hash);
    const keyPackage = encodeKeyPackage(publicPackage);
    const expiresAtMs = Number(publicPackage.leafNode.lifetime.notAfter) * 1_000;
    return { ref: encodeHex(ref), keyPackage, secret: toBytes(privatePackage), isLastResort, expiresAtMs };
  }

  async createGroup(identity: DeviceIdentity, groupId: Uint8Array): Promise<GroupState> {
    const { publicPackage, privatePackage } = await this.#newKeyPackage(identity, false);
    return encodeGroupState(await createGroup(groupId, publicPackage, privatePackage, [], this.#suite, this.#config));
  }

  keyPackageRefsOf(welcome: Uint8Array): readonly string[] {
    return welcomeIn(welcome).secrets.map(({ newMember }) => encodeHex(newMember));
  }

  async joinByWelcome(welcome: Uint8Array, own: OwnKeyPackage): Promise<GroupState> {
    const keys = this.#joinKeys(keyPackageIn(own.keyPackage), fromBytes<PrivateKeyPackage>(own.secret));
    const { keyPackage, privateKeys, suite, config } = keys;
    const decoded = welcomeIn(welcome);
    const none = undefined;
    const state = await joinGroup(decoded, keyPackage, privateKeys, emptyPskIndex, suite, none, none, config).catch(
      (error: unknown) => {
        if (!isTreeRefusal(error)) throw error;
        return joinByWelcome(decoded, keys);
      },
    );
    return encodeGroupState(state);
  }

  async joinExternally(groupInfo: Uint8Array, identity: DeviceIdentity): Promise<PendingCommit> {
    const message = messageIn(groupInfo);
    if (message.wireformat !== 'mls_group_info') throw new TypeError('the bytes are not a GroupInfo');
    const { publicPackage, privatePackage } = await this.#newKeyPackage(identity, false);
    const keys = this.#joinKeys(publicPackage, privatePackage);
    const { publicMessage, newState } = await joinExternally(message.groupInfo, keys);
    return {
      commit: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage }),
      welcome: undefined,
      groupInfo: await this.#groupInfoOf(newState),
      epoch: Number(message.groupInfo.groupContext.epoch),
      nextState: encodeGroupState(newState),
    };
  }

  async commit(bytes: GroupState, changes: readonly GroupChange[], which?: 'all'): Promise<PendingCommit> {
    const state = which === 'all' ? this.#stateIn(bytes) : withoutForbiddenProposals(this.#stateIn(bytes));
    const { commit, welcome, newState } = await createCommit(
      { state, cipherSuite: this.#suite },
      { wireAsPublicMessage: true, extraProposals: changes.map(proposalOf), ratchetTreeExtension: true },
    );
    return {
      commit: encodeMlsMessage(commit),
      welcome: welcome && encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome }),
      groupInfo: await this.#groupInfoOf(newState),
      epoch: Number(state.groupContext.epoch),
      nextState: encodeGroupState(newState),
    };
  }

  async encrypt(
    bytes: GroupState,
    content: Uint8Array,
  ): Promise<{ readonly message: Uint8Array; readonly nextState: GroupState }> {
    const { newState, privateMessage } = await createApplicationMessage(this.#stateIn(bytes), content, this.#suite);
    const message = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage });
    return { message, nextState: encodeGroupState(newState) };
  }

  async process(bytes: GroupState, message: Uint8Array): Promise<ProcessedMessage> {
    const state = this.#stateIn(bytes);
    const decoded = messageIn(message);
    if (decoded.wireformat !== 'mls_private_message' && decoded.wireformat !== 'mls_public_message') {
      throw new TypeError('the bytes are not a message of a group');
    }
    const observer = observeCommit(state, decoded);
    const processing = processMessage(decoded, state, emptyPskIndex, observer.action, this.#suite);
    const result = await processing.catch(observer.ignoreAfterRemoval);
    // ts-mls fails when the commit gives the place of this device's leaf to another one.
    if (!result) return { kind: 'commit', nextState: bytes, isRemoved: true, effect: observer.effectIn(state) };
    const nextState = encodeGroupState(result.newState);
    if (result.kind === 'applicationMessage') {
      if (decoded.wireformat !== 'mls_private_message') throw new TypeError('an application message is not encrypted');
      const senderDid = await this.#senderOf(state, decoded.privateMessage);
      return { kind: 'application', nextState, content: result.message, senderDid };
    }
    const isRemoved = result.newState.groupActiveState.kind === 'removedFromGroup';
    const isSameEpoch = result.newState.groupContext.epoch === state.groupContext.epoch;
    if (isSameEpoch && !isRemoved) return { kind: 'proposal', nextState };
    return { kind: 'commit', nextState, isRemoved, effect: observer.effectIn(result.newState) };
  }

  exportGroupInfo(bytes: GroupState): Promise<Uint8Array> {
    return this.#groupInfoOf(this.#stateIn(bytes));
  }

  describe(bytes: GroupState): ReturnType<MlsEngine['describe']> {
    const state = this.#stateIn(bytes);
    const { groupId, epoch } = state.groupContext;
    const { leafIndex: ownLeafIndex } = state.privatePath;
    return { groupId, epoch: Number(epoch), members: membersOf(state), ownLeafIndex };
  }

  #joinKeys(keyPackage: KeyPackage, privateKeys: PrivateKeyPackage): JoinKeys {
    return { suite: this.#suite, config: this.#config, keyPackage, privateKeys };
  }

  #stateIn(bytes: GroupState): ClientState {
    const decoded = decodeGroupState(bytes, 0);
    if (decoded === undefined) throw new TypeError('the bytes are not the state of a group');
    return { ...decoded[0], clientConfig: this.#config };
  }

  #newKeyPackage(
    identity: DeviceIdentity,
    isLastResort: boolean,
  ): Promise<{ publicPackage: KeyPackage; privatePackage: PrivateKeyPackage }> {
    const nowSeconds = BigInt(Math.floor(Date.now() / 1_000));
    const lifetimeDays = isLastResort ? lastResortLifetimeDays : this.#lifetimeDays;
    const extensions: Extension[] = isLastResort
      ? [{ extensionType: lastResortExtension, extensionData: new Uint8Array() }]
      : [];
    return generateKeyPackageWithKey(
      { credentialType: 'basic', identity: new TextEncoder().encode(identity.did) },
      {
        versions: ['mls10'],
        ciphersuites: [this.#suite.name],
        extensions: [lastResortExtension],
        proposals: [],
        credentials: ['basic'],
      },
      {
        notBefore: nowSeconds - clockSkewSeconds,
        notAfter: nowSeconds + lifetimeDays * secondsPerDay,
      },
      extensions,
      fromBytes<IdentityKeys>(identity.secret),
      this.#suite,
    );
  }

  async #groupInfoOf(state: ClientState): Promise<Uint8Array> {
    const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(state, [], this.#suite);
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo });
  }

  /** The DID of the leaf that sent a message of this epoch, or of a retained earlier one. */
  async #senderOf(state: ClientState, message: Parameters<typeof decryptSenderData>[0]): Promise<string> {
    const earlier = state.historicalReceiverData.get(message.epoch);
    const secret =
      message.epoch === state.groupContext.epoch ? state.keySchedule.senderDataSecret : earlier?.senderDataSecret;
    const sender = secret && (await decryptSenderData(message, secret, this.#suite));
    const tree = message.epoch === state.groupContext.epoch ? state.ratchetTree : earlier?.ratchetTree;
    const node = sender && tree?.[sender.leafIndex * 2];
    if (node?.nodeType !== 'leaf') throw new TypeError('the message has no sender in the group');
    return didOf(node.leaf);
  }
}

function membersOf({ ratchetTree }: ClientState): GroupMember[] {
  return ratchetTree.flatMap((node, nodeIndex) => {
    if (node?.nodeType !== 'leaf') return [];
    return [{ leafIndex: nodeIndex / 2, did: didOf(node.leaf), leafKey: encodeHex(node.leaf.hpkePublicKey) }];
  });
}

function proposalOf(change: GroupChange): Proposal {
  if (change.kind === 'remove') return { proposalType: 'remove', remove: { removed: change.leafIndex } };
  return { proposalType: 'add', add: { keyPackage: keyPackageIn(change.keyPackage) } };
}

function keyPackageIn(bytes: Uint8Array): KeyPackage {
  const decoded = decodeKeyPackage(bytes, 0);
  if (decoded === undefined) throw new TypeError('the bytes are not a KeyPackage');
  return decoded[0];
}

function messageIn(bytes: Uint8Array): MLSMessage {
  const decoded = decodeMlsMessage(bytes, 0);
  if (decoded === undefined) throw new TypeError('the bytes are not an MLSMessage');
  return decoded[0];
}

function welcomeIn(bytes: Uint8Array): Extract<MLSMessage, { wireformat: 'mls_welcome' }>['welcome'] {
  const message = messageIn(bytes);
  if (message.wireformat !== 'mls_welcome') throw new TypeError('the bytes are not a Welcome');
  return message.welcome;
}

function toBytes(keys: object): Uint8Array {
  return new TextEncoder().encode(stringifyJson(keys));
}

/** Reads what `toBytes` wrote. */
function fromBytes<Keys>(bytes: Uint8Array): Keys {
  return parseJson(new TextDecoder().decode(bytes)) as Keys;
}
