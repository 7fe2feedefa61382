import { newSecret, newUuid } from '#platform/ids.ts';
import { createAccount } from '../../test/support/clients/account.ts';
import type { AccountOptions } from '../../test/support/clients/account.ts';
import { openEventStream } from '../../test/support/clients/event-stream.ts';
import type { EventStream } from '../../test/support/clients/event-stream.ts';
import type { LoopbackPlc } from '../../test/support/network/loopback-plc.ts';
import { MlsMember } from '../../test/support/mls/mls-member.ts';
import { createXrpcClient } from '../../test/support/clients/xrpc-client.ts';
import type { ServerAddress, XrpcClient } from '../../test/support/clients/xrpc-client.ts';

export const demoSuite = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

const dayMs = 86_400_000;
const ordinaryPackages = 3;

/** Somebody with one device: an account, an MLS client and a live stream. */
export class Person {
  readonly name: string;
  readonly deviceName: string;
  readonly client: XrpcClient;
  readonly mls: MlsMember;
  readonly #sent = new Set<string>();
  #stream: EventStream | undefined;

  private constructor(name: string, client: XrpcClient, mls: MlsMember) {
    this.name = name;
    this.deviceName = `${name}'s telephone`;
    this.client = client;
    this.mls = mls;
  }

  static async create(
    name: string,
    where: { server: ServerAddress; plc: LoopbackPlc; account?: AccountOptions },
  ): Promise<Person> {
    const account = createAccount(where.plc, where.account);
    const mls = await MlsMember.create({ did: account.did, cipherSuite: demoSuite });
    return new Person(name, createXrpcClient({ server: where.server, account }), mls);
  }

  get did(): string {
    return this.client.did;
  }

  get stream(): EventStream {
    if (this.#stream === undefined) throw new Error(`${this.name} does not listen`);
    return this.#stream;
  }

  /** Opens the live stream, from `cursor` on or from now. */
  async listen(cursor?: string): Promise<void> {
    this.#stream = await openEventStream(this.client, { cursor });
  }

  /** Registers the device with ordinary key packages and publishes a last-resort one. */
  async register(): Promise<void> {
    const expires = new Date(Date.now() + 20 * dayMs).toISOString();
    const upload = async (
      lastResort: boolean,
    ): Promise<{ keyPackage: string; cipherSuite: string; expires: string }> => {
      const { bytes } = await this.mls.createKeyPackage(lastResort ? { lastResort: 'extension' } : {});
      return { keyPackage: Buffer.from(bytes).toString('base64'), cipherSuite: demoSuite, expires };
    };
    await this.client.call('registerDevice', {
      deviceName: this.deviceName,
      deviceUUID: newUuid(),
      signaturePublicKey: this.mls.device.signaturePublicKey,
      keyPackages: await Promise.all(Array.from({ length: ordinaryPackages }, () => upload(false))),
    });
    await this.client.call('publishKeyPackages', { keyPackages: [await upload(true)] });
  }

  /** Starts a group of one and returns the conversation id that goes with it. */
  async startGroup(): Promise<string> {
    const groupId = newSecret(16);
    await this.mls.createGroup(groupId);
    return groupId.toString('hex');
  }

  /** One key package of each device of `other`. */
  async fetchKeyPackages(other: Person): Promise<Uint8Array[]> {
    const { keyPackages } = await this.client.call('getKeyPackages', { dids: [other.did], cipherSuite: demoSuite });
    return keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64'));
  }

  /** Waits to be told of the group, and joins with its Welcome. */
  async join(convoId: string): Promise<void> {
    await this.stream.next('membershipChangeEvent', ({ did, action }) => did === this.did && action === 'joined');
    const { welcome } = await this.client.call('getWelcome', { convoId });
    await this.mls.joinByWelcome(Buffer.from(welcome, 'base64'));
    await this.client.call('confirmWelcome', { convoId, success: true });
  }

  /** Encrypts and sends; @returns what went over the wire. */
  async say(convoId: string, text: string): Promise<Uint8Array> {
    const ciphertext = await this.mls.encrypt(text);
    const msgId = newUuid();
    this.#sent.add(msgId);
    const paddedSize = ciphertext.length;
    await this.client.call('sendMessage', { convoId, msgId, ciphertext, epoch: this.mls.epoch, paddedSize });
    return ciphertext;
  }

  /** The next text by somebody else; commits on the way are applied. */
  async hear(): Promise<string> {
    for (;;) {
      const { message } = await this.stream.next('messageEvent');
      if (this.#sent.has(message.id)) continue;
      // The commit that made this client's epoch is its own, or the one it joined with.
      if (message.messageType === 'commit' && message.epoch <= this.mls.epoch) continue;
      const received = await this.mls.receive(message.ciphertext);
      if (received.kind === 'application') return received.text;
    }
  }

  /** Applies the next commit by somebody else. @returns whether it removed this person. */
  async follow(): Promise<{ removed: boolean }> {
    const { message } = await this.stream.next(
      'messageEvent',
      ({ message: { messageType, epoch } }) => messageType === 'commit' && epoch > this.mls.epoch,
    );
    const received = await this.mls.receive(message.ciphertext);
    return { removed: received.kind === 'commit' && received.removed };
  }
}
