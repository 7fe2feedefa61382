import { defaultLifetime } from 'ts-mls';
import { z } from 'zod';
import { newSecret, newUuid } from '#platform/ids.ts';
import { openEventStream } from './event-stream.ts';
import type { EventStream } from './event-stream.ts';
import { MlsMember } from '../mls/mls-member.ts';
import type { XrpcClient } from './xrpc-client.ts';

/** A failed call; public clients read only its status. */
class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly status: number;

  constructor(method: string, status: number) {
    super(`${method} failed: ${status}`);
    this.status = status;
  }
}

/** The client's state of one conversation. */
interface Group {
  mls: MlsMember;
  lastSeq: number;
  readonly texts: string[];
}

const suite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';
const dayMs = 86_400_000;
const attemptsMax = 6;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
/** The encoding in which public clients send the packages of a new device. */
const base64Url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const bytesField = z.object({ $bytes: z.string() }).transform(({ $bytes }) => Buffer.from($bytes, 'base64'));

/** The fields that the client reads of each response, in its spelling; other fields are ignored. */
const responses = {
  registerDevice: z.object({
    deviceId: z.string(),
    mlsDid: z.string(),
    autoJoinedConvos: z.array(z.string()),
    welcomeMessages: z.array(z.object({ convoId: z.string(), welcome: z.string() })).optional(),
  }),
  optIn: z.object({ optedIn: z.literal(true), optedInAt: z.iso.datetime() }),
  succeeded: z.object({ success: z.literal(true) }),
  getKeyPackageStats: z.object({ available: z.number(), threshold: z.number(), needsReplenish: z.boolean() }),
  publishKeyPackages: z.object({
    succeeded: z.number(),
    failed: z.literal(0),
    errors: z.array(z.object({ index: z.number(), error: z.string() })).optional(),
  }),
  syncKeyPackages: z.object({
    serverHashes: z.array(z.string()),
    orphanedCount: z.number(),
    deletedCount: z.number(),
  }),
  getOptInStatus: z.object({ statuses: z.array(z.object({ did: z.string(), optedIn: z.boolean() })) }),
  getKeyPackages: z.object({
    keyPackages: z.array(
      z.object({ did: z.string(), keyPackage: z.string(), keyPackageHash: z.string(), cipherSuite: z.string() }),
    ),
    missing: z.array(z.string()).optional(),
  }),
  convoView: z.object({
    groupId: z.string(),
    creator: z.string(),
    epoch: z.number(),
    cipherSuite: z.string(),
    createdAt: z.iso.datetime(),
    members: z.array(z.object({ did: z.string(), userDid: z.string(), isAdmin: z.boolean() })),
    metadata: z.object({ name: z.string() }).optional(),
  }),
  updateGroupInfo: z.object({ updated: z.literal(true) }),
  addMembers: z.object({ success: z.literal(true), newEpoch: z.number() }),
  removeMember: z.object({ ok: z.literal(true), epochHint: z.number() }),
  getWelcome: z.object({ convoId: z.string(), welcome: z.string() }),
  confirmWelcome: z.object({ confirmed: z.literal(true) }),
  invalidateWelcome: z.object({ invalidated: z.literal(true) }),
  getGroupInfo: z.object({ groupInfo: z.string(), epoch: z.number(), expiresAt: z.iso.datetime() }),
  processExternalCommit: z.object({ epoch: z.number(), rejoinedAt: z.iso.datetime() }),
  requested: z.object({ requested: z.boolean(), activeMembers: z.number() }),
  sendMessage: z.object({ messageId: z.string(), receivedAt: z.iso.datetime(), seq: z.number(), epoch: z.number() }),
  getMessages: z.object({
    messages: z.array(
      z.object({
        id: z.string(),
        ciphertext: bytesField,
        epoch: z.number(),
        seq: z.number(),
        createdAt: z.iso.datetime(),
        messageType: z.enum(['app', 'commit']),
      }),
    ),
    lastSeq: z.number().optional(),
    gapInfo: z.object({ hasGaps: z.boolean() }).optional(),
  }),
  getPendingDeviceAdditions: z.object({
    pendingAdditions: z.array(
      z.object({ id: z.string(), convoId: z.string(), userDid: z.string(), deviceId: z.string(), status: z.string() }),
    ),
  }),
  claimPendingDeviceAddition: z.object({
    claimed: z.boolean(),
    claimedBy: z.string().optional(),
    keyPackage: z.object({ did: z.string(), keyPackage: z.string(), keyPackageHash: z.string() }).optional(),
  }),
} as const;

type Fields = Readonly<Record<string, unknown>>;
type Search = Readonly<Record<string, string | number | readonly string[]>>;

/**
 * One device of a person that runs the flows of the public client: plain JSON in that client's field spelling; only status 200 is
 * success, and only the status of failures is read.
 */
export class ScriptedClient {
  readonly #client: XrpcClient;
  readonly #device: MlsMember;
  readonly #deviceUUID = newUuid();
  readonly #groups = new Map<string, Group>();
  readonly #localHashes = new Set<string>();
  readonly #sent = new Set<string>();
  #deviceId = '';
  #stream: EventStream | undefined;
  #cursor: string | undefined;

  private constructor(client: XrpcClient, device: MlsMember) {
    this.#client = client;
    this.#device = device;
  }

  static async create(client: XrpcClient): Promise<ScriptedClient> {
    return new ScriptedClient(client, await MlsMember.create({ did: client.did, cipherSuite: suite }));
  }

  get did(): string {
    return this.#client.did;
  }

  get deviceId(): string {
    return this.#deviceId;
  }

  get stream(): EventStream {
    if (this.#stream === undefined) throw new Error('not connected');
    return this.#stream;
  }

  /** A value that two devices share exactly when they have the same secrets of the group. */
  secretsOf(convoId: string): string {
    return this.#group(convoId).mls.epochAuthenticator;
  }

  textsOf(convoId: string): readonly string[] {
    return this.#group(convoId).texts;
  }

  /** Flow 1. */
  async register(deviceName: string): Promise<void> {
    const keyPackages = await this.#newPackages(2, base64Url);
    const registered = await this.#post('registerDevice', responses.registerDevice, {
      deviceName,
      deviceUUID: this.#deviceUUID,
      keyPackages: keyPackages.map(({ keyPackage, cipherSuite, expires }) => ({ keyPackage, cipherSuite, expires })),
      signaturePublicKey: { $bytes: base64(this.#device.device.signaturePublicKey) },
    });
    if (registered.mlsDid !== `${this.did}#${registered.deviceId}`) throw new Error('an unexpected mlsDid');
    this.#deviceId = registered.deviceId;
    const { deviceId } = registered;
    await this.#post('optIn', responses.optIn, { deviceId });
    const token = { deviceId, pushToken: newSecret(32).toString('hex'), deviceName, platform: 'ios' };
    await this.#post('registerDeviceToken', responses.succeeded, token);
  }

  /** Flow 2. @returns the number of available packages. */
  async replenishPackages(): Promise<number> {
    const stats = await this.#get('getKeyPackageStats', responses.getKeyPackageStats, { cipherSuite: suite });
    if (stats.needsReplenish) {
      const keyPackages = await this.#newPackages(stats.threshold * 2 - stats.available, base64);
      await this.#post('publishKeyPackages', responses.publishKeyPackages, { keyPackages });
    }
    await this.syncPackages();
    return (await this.#get('getKeyPackageStats', responses.getKeyPackageStats, { cipherSuite: suite })).available;
  }

  /** Publishes a last-resort package with the default lifetime of ts-mls, which has no end. */
  async publishLastResort(): Promise<void> {
    const { bytes, ref } = await this.#device.createKeyPackage({ lastResort: 'extension', lifetime: defaultLifetime });
    this.#localHashes.add(ref);
    const expires = new Date(Date.now() + 3_650 * dayMs).toISOString();
    const item = { keyPackage: base64(bytes), cipherSuite: suite, expires };
    await this.#post('publishKeyPackages', responses.publishKeyPackages, { keyPackages: [item] });
  }

  async syncPackages(): Promise<{ serverHashes: string[]; orphanedCount: number; deletedCount: number }> {
    return this.#post('syncKeyPackages', responses.syncKeyPackages, {
      localHashes: [...this.#localHashes],
      deviceId: this.#deviceId,
    });
  }

  /** Drops all unused key packages, as after a restore from a backup. */
  forgetPackages(): void {
    this.#localHashes.clear();
  }

  /** Flow 3. @param uninvited members without a Welcome. */
  async create(
    name: string,
    others: readonly ScriptedClient[],
    uninvited: readonly ScriptedClient[] = [],
  ): Promise<string> {
    const dids = others.map(({ did }) => did);
    const { statuses } = await this.#get('getOptInStatus', responses.getOptInStatus, { dids });
    if (!statuses.every(({ optedIn }) => optedIn)) throw new Error('a person has not opted in');
    const mls = this.#device.inAnotherGroup();
    const groupId = newSecret(16);
    const convoId = groupId.toString('hex');
    await mls.createGroup(groupId);
    this.#groups.set(convoId, { mls, lastSeq: 0, texts: [] });
    const packages = await this.#fetchPackages(dids);
    const pending = await mls.addMembers(packages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')));
    const convo = await this.#post('createConvo', responses.convoView, {
      groupId: convoId,
      idempotencyKey: newUuid(),
      cipherSuite: suite,
      initialMembers: [...dids, ...uninvited.map(({ did }) => did)],
      welcomeMessage: pending.welcome && base64(pending.welcome),
      keyPackageHashes: packages.map(({ did, keyPackageHash }) => ({ did, hash: keyPackageHash })),
      metadata: { name },
    });
    mls.acceptCommit();
    if (convo.epoch !== mls.epoch || convo.metadata?.name !== name) throw new Error('an unexpected convoView');
    await this.updateGroupInfo(convoId);
    return convoId;
  }

  async updateGroupInfo(convoId: string): Promise<void> {
    const { mls } = this.#group(convoId);
    const groupInfo = base64(await mls.exportGroupInfo());
    await this.#post('updateGroupInfo', responses.updateGroupInfo, { convoId, groupInfo, epoch: mls.epoch });
  }

  /** Flow 4, adding. @returns the number of attempts. */
  async add(convoId: string, others: readonly ScriptedClient[]): Promise<number> {
    return this.#addPackages(convoId, await this.#fetchPackages(others.map(({ did }) => did)));
  }

  /** Flow 4, removing. @returns the number of attempts. */
  async remove(convoId: string, other: ScriptedClient): Promise<number> {
    return this.#changeGroup(convoId, async (mls) => {
      const { commit } = await mls.removeMember(other.did);
      const { epochHint } = await this.#post('removeMember', responses.removeMember, {
        convoId,
        targetDid: other.did,
        idempotencyKey: newUuid(),
        reason: 'gone',
        commit: base64(commit),
      });
      return epochHint;
    });
  }

  /** Flow 5: joins by Welcome if there is a usable one, else by external commit. @returns the way it joined. */
  async join(convoId: string): Promise<'welcome' | 'external'> {
    const convos = await this.#get('getConvos', z.object({ conversations: z.array(responses.convoView) }), {});
    if (!convos.conversations.some(({ groupId }) => groupId === convoId)) throw new Error('not in the list');
    const mls = this.#device.inAnotherGroup();
    const welcome = await this.#unless([404, 410], this.#get('getWelcome', responses.getWelcome, { convoId }));
    if (welcome === undefined) return this.joinByCommit(convoId, 'join');
    try {
      await mls.joinByWelcome(Buffer.from(welcome.welcome, 'base64'));
    } catch {
      await this.#post('invalidateWelcome', responses.invalidateWelcome, { convoId, reason: 'cannot be opened' });
      return this.joinByCommit(convoId, 'join');
    }
    await this.#post('confirmWelcome', responses.confirmWelcome, { convoId, success: true });
    this.#groups.set(convoId, { mls, lastSeq: 0, texts: [] });
    await this.catchUp(convoId);
    return 'welcome';
  }

  /** Joins by external commit. @param mode `resync` when the device has lost the group's state. */
  async joinByCommit(convoId: string, mode: 'join' | 'resync'): Promise<'external'> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const stored = await this.#unless([404], this.#get('getGroupInfo', responses.getGroupInfo, { convoId }));
      if (stored === undefined) {
        const { requested } = await this.#post('groupInfoRefresh', responses.requested, { convoId });
        if (!requested) throw new Error('no member can refresh the GroupInfo');
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const mls = this.#device.inAnotherGroup();
      const pending = await mls.externalJoin(Buffer.from(stored.groupInfo, 'base64'), mode);
      const body = {
        convoId,
        externalCommit: base64(pending.commit),
        idempotencyKey: newUuid(),
        groupInfo: base64(pending.groupInfo),
      };
      const joining = this.#post('processExternalCommit', responses.processExternalCommit, body);
      const joined = await this.#unless([409], joining);
      if (joined === undefined) continue;
      mls.acceptCommit();
      if (joined.epoch !== mls.epoch) throw new Error('an unexpected epoch');
      this.#groups.set(convoId, { mls, lastSeq: 0, texts: [] });
      return 'external';
    }
    throw new Error('the group could not be joined');
  }

  /** Requests to be added again. @returns the number of other active members. */
  async requestReaddition(convoId: string): Promise<number> {
    return (await this.#post('readdition', responses.requested, { convoId })).activeMembers;
  }

  /** Flow 6. @returns the message's seq. */
  async send(convoId: string, text: string): Promise<number> {
    const { mls } = this.#group(convoId);
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const [msgId, ciphertext] = [newUuid(), await mls.encrypt(text)];
      this.#sent.add(msgId);
      const sending = this.#post('sendMessage', responses.sendMessage, {
        convoId,
        msgId,
        idempotencyKey: newUuid(),
        ciphertext: { $bytes: base64(ciphertext) },
        epoch: mls.epoch,
        paddedSize: ciphertext.length,
      });
      const sent = await this.#unless([409], sending);
      if (sent?.messageId === msgId) return sent.seq;
      await this.catchUp(convoId);
    }
    throw new Error('the message could not be sent');
  }

  /** Flow 7: opens the stream, from the last cursor if there is one. */
  async connect(): Promise<void> {
    this.#stream = await openEventStream(this.#client, { cursor: this.#cursor });
  }

  async disconnect(): Promise<void> {
    this.#cursor = this.stream.cursor;
    await this.stream.close();
    this.#stream = undefined;
  }

  /** Reads all messages after the last known one, applies commits and skips its own messages. */
  async catchUp(convoId: string): Promise<void> {
    const group = this.#group(convoId);
    for (;;) {
      const search = { convoId, limit: 100, sinceSeq: group.lastSeq };
      const { messages, gapInfo } = await this.#get('getMessages', responses.getMessages, search);
      if (gapInfo?.hasGaps === true && group.lastSeq > 0) throw new Error('messages are missing');
      if (messages.length === 0) return;
      for (const message of messages) {
        group.lastSeq = message.seq;
        const isKnown =
          message.messageType === 'commit' ? message.epoch <= group.mls.epoch : this.#sent.has(message.id);
        if (isKnown) continue;
        const received = await group.mls.receive(message.ciphertext);
        if (received.kind === 'application') group.texts.push(received.text);
      }
    }
  }

  async pendingAdditions(): Promise<z.infer<typeof responses.getPendingDeviceAdditions>['pendingAdditions']> {
    const search = { limit: 50 };
    return (await this.#get('getPendingDeviceAdditions', responses.getPendingDeviceAdditions, search)).pendingAdditions;
  }

  /** Flow 8. @returns false when another device has claimed the addition. */
  async addNewDevice(addition: { readonly id: string; readonly convoId: string }): Promise<boolean> {
    const id = { pendingAdditionId: addition.id };
    const claim = await this.#post('claimPendingDeviceAddition', responses.claimPendingDeviceAddition, id);
    if (!claim.claimed || claim.keyPackage === undefined) return false;
    await this.#addPackages(addition.convoId, [claim.keyPackage]);
    const newEpoch = this.#group(addition.convoId).mls.epoch;
    await this.#post('completePendingDeviceAddition', responses.succeeded, { ...id, newEpoch });
    return true;
  }

  async #addPackages(
    convoId: string,
    packages: readonly { did: string; keyPackage: string; keyPackageHash: string }[],
  ): Promise<number> {
    const attempts = await this.#changeGroup(convoId, async (mls) => {
      const { commit, welcome } = await mls.addMembers(
        packages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64')),
      );
      const { newEpoch } = await this.#post('addMembers', responses.addMembers, {
        convoId,
        idempotencyKey: newUuid(),
        didList: [...new Set(packages.map(({ did }) => did))],
        commit: base64(commit),
        welcomeMessage: welcome && base64(welcome),
        keyPackageHashes: packages.map(({ did, keyPackageHash }) => ({ did, hash: keyPackageHash })),
      });
      return newEpoch;
    });
    // Another member may have committed since; that member stores the GroupInfo of the later epoch.
    await this.updateGroupInfo(convoId).catch((error: unknown) => {
      if (!(error instanceof CallFailed) || error.status !== 409) throw error;
    });
    return attempts;
  }

  /** Retries a commit until it wins its epoch. @returns the number of attempts. */
  async #changeGroup(convoId: string, tryCommit: (mls: MlsMember) => Promise<number>): Promise<number> {
    const { mls } = this.#group(convoId);
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const newEpoch = await this.#unless([409], tryCommit(mls));
      if (newEpoch === undefined) {
        mls.rejectCommit();
        await this.catchUp(convoId);
        continue;
      }
      mls.acceptCommit();
      if (newEpoch !== mls.epoch) throw new Error('an unexpected epoch');
      return attempt;
    }
    throw new Error('the group could not be changed');
  }

  async #fetchPackages(
    dids: readonly string[],
  ): Promise<{ did: string; keyPackage: string; keyPackageHash: string }[]> {
    const search = { dids, cipherSuite: suite };
    const { keyPackages, missing } = await this.#get('getKeyPackages', responses.getKeyPackages, search);
    if (missing !== undefined && missing.length > 0) throw new Error('a person has no key packages');
    return keyPackages;
  }

  async #newPackages(count: number, encode: (bytes: Uint8Array) => string): Promise<Fields[]> {
    const expires = new Date(Date.now() + 30 * dayMs).toISOString();
    const packages: Fields[] = [];
    for (let nth = 0; nth < count; nth++) {
      const { bytes, ref } = await this.#device.createKeyPackage();
      this.#localHashes.add(ref);
      packages.push({ keyPackage: encode(bytes), cipherSuite: suite, expires, idempotencyKey: newUuid() });
    }
    return packages;
  }

  #group(convoId: string): Group {
    const group = this.#groups.get(convoId);
    if (group === undefined) throw new Error('not in this group');
    return group;
  }

  async #unless<T>(statuses: readonly number[], call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof CallFailed && statuses.includes(error.status)) return undefined;
      throw error;
    }
  }

  async #post<T>(method: string, schema: z.ZodType<T>, body: Fields): Promise<T> {
    const { status, text } = await this.#client.raw(method, { body: JSON.stringify(body) });
    if (status !== 200) throw new CallFailed(method, status);
    return schema.parse(JSON.parse(text));
  }

  async #get<T>(method: string, schema: z.ZodType<T>, params: Search): Promise<T> {
    const search = new URLSearchParams(
      Object.entries(params).flatMap(([key, value]) =>
        [value].flat().map((item): [string, string] => [key, String(item)]),
      ),
    );
    const { status, text } = await this.#client.raw(method, { search: `?${search.toString()}` });
    if (status !== 200) throw new CallFailed(method, status);
    return schema.parse(JSON.parse(text));
  }
}
