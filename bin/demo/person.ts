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

/** A person of the demo with an account, one device, an MLS client and an event stream. */
export class Person {
  readonly name: string;
  readonly deviceName: string;
  readonly client: XrpcClient;
  readonly mls: MlsMember;
  readonly #sent = new Set<string>();
  #stream: EventStream | undefined;

  private constructor(name: string, client: XrpcClient, mls: MlsMember) {
    this.name = name;
    this.deviceName = `${name}'s phone`;
    this.client = client;
    this.mls = mls;
  }

  static async create(
    name: string,
    parts: { server: ServerAddress; plc: LoopbackPlc; account?: AccountOptions },
  ): Promise<Person> {
    const account = createAccount(parts.plc, parts.account);
    const mls = await MlsMember.create({ did: account.did, cipherSuite: demoSuite });
    return new Person(name, createXrpcClient({ server: parts.server, account }), mls);
  }

  get did(): string {
    return this.client.did;
  }

  get stream(): EventStream {
    if (this.#stream === undefined) throw new Error(`${this.name} has no open event stream`);
    return this.#stream;
  }

  /** Opens the event stream after `cursor`, or without a cursor for new events only. */
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

  /** Creates a group with one member and returns its conversation id. */
  async startGroup(): Promise<string> {
    const groupId = newSecret(16);
    await this.mls.createGroup(groupId);
    return groupId.toString('hex');
  }

  /** Claims one key package of each device of `other`. */
  async fetchKeyPackages(other: Person): Promise<Uint8Array[]> {
    const { keyPackages } = await this.client.call('getKeyPackages', { dids: [other.did], cipherSuite: demoSuite });
    return keyPackages.map(({ keyPackage }) => Buffer.from(keyPackage, 'base64'));
  }

  /** Waits for the event that adds this person, and joins with the Welcome. */
  async join(convoId: string): Promise<void> {
    await this.stream.next('membershipChangeEvent', ({ did, action }) => did === this.did && action === 'joined');
    const { welcome } = await this.client.call('getWelcome', { convoId });
    await this.mls.joinByWelcome(Buffer.from(welcome, 'base64'));
    await this.client.call('confirmWelcome', { convoId, success: true });
  }

  /**
   * Encrypts and sends a text.
   * @returns the ciphertext.
   */
  async send(convoId: string, text: string): Promise<Uint8Array> {
    const ciphertext = await this.mls.encrypt(text);
    const msgId = newUuid();
    this.#sent.add(msgId);
    const paddedSize = ciphertext.length;
    await this.client.call('sendMessage', { convoId, msgId, ciphertext, epoch: this.mls.epoch, paddedSize });
    return ciphertext;
  }

  /** Waits for the next text of another member, and applies the commits before it. */
  async receiveText(): Promise<string> {
    for (;;) {
      const { message } = await this.stream.next('messageEvent');
      if (this.#sent.has(message.id)) continue;
      // A commit up to the current epoch is skipped, because the client has applied it or joined with its Welcome.
      if (message.messageType === 'commit' && message.epoch <= this.mls.epoch) continue;
      const received = await this.mls.receive(message.ciphertext);
      if (received.kind === 'application') return received.text;
    }
  }

  /**
   * Applies the next commit of another member.
   * @returns whether the commit removed this person.
   */
  async applyNextCommit(): Promise<{ removed: boolean }> {
    const { message } = await this.stream.next(
      'messageEvent',
      ({ message: { messageType, epoch } }) => messageType === 'commit' && epoch > this.mls.epoch,
    );
    const received = await this.mls.receive(message.ciphertext);
    return { removed: received.kind === 'commit' && received.removed };
  }
}
