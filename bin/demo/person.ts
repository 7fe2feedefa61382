import { EventEmitter, on } from 'node:events';
import { createApiClient } from '#client/api/api-client.ts';
import type { ApiClient } from '#client/api/api-client.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { StreamEvent } from '#client/api/methods.ts';
import { openEventStream } from '#client/stream/event-stream.ts';
import type { Account } from '../../test/support/clients/account.ts';
import type { ServerAddress } from '../../test/support/clients/xrpc-client.ts';

type EventKind = ConversationEvent['kind'];
type EventOf<Kind extends EventKind> = Extract<ConversationEvent, { readonly kind: Kind }>;

const keyPackageTarget = 3;

/** A person of the demo, with an account and one device that runs the client of the package. */
export class Person {
  readonly name: string;
  readonly deviceName: string;
  readonly account: Account;
  readonly api: ApiClient;
  readonly storage = createMemoryStorage();
  readonly #events = new EventEmitter();
  readonly #unread = on(this.#events, 'event');
  #messenger: Messenger | undefined;

  constructor(name: string, account: Account, server: ServerAddress) {
    this.name = name;
    this.deviceName = `${name}'s phone`;
    this.account = account;
    this.api = createApiClient({
      serviceUrl: server.url,
      getToken: async (nsid) => account.mintToken({ aud: server.serviceDid, lxm: nsid }),
    });
  }

  get did(): string {
    return this.account.did;
  }

  get messenger(): Messenger {
    if (this.#messenger === undefined) throw new Error(`${this.name} is not connected`);
    return this.#messenger;
  }

  /** Registers the device the first time; later it goes on where its storage ends. */
  async connect(): Promise<void> {
    this.#messenger = await openMessenger({
      api: this.api,
      did: this.did,
      engine: await createTsMlsEngine(),
      storage: this.storage,
      deviceName: this.deviceName,
      keyPackageTarget,
      onEvent: (event) => void this.#events.emit('event', event),
      onError: (error) => void this.#events.emit('error', error),
    });
  }

  async disconnect(): Promise<void> {
    await this.messenger.close();
    this.#messenger = undefined;
  }

  /** Opens another stream of events that begins now. */
  async listen(): Promise<{ readonly events: readonly StreamEvent[]; readonly stop: () => void }> {
    const events: StreamEvent[] = [];
    const opened = Promise.withResolvers<void>();
    const stream = openEventStream(this.api, { onStateChange: (state) => state === 'open' && opened.resolve() });
    const reading = (async () => {
      for await (const event of stream) events.push(event);
    })();
    await Promise.race([opened.promise, reading]);
    return { events, stop: () => stream.close() };
  }

  async send(convoId: string, text: string): Promise<void> {
    await this.messenger.send(convoId, new TextEncoder().encode(text));
  }

  /** Waits for the next event of a kind; earlier events of other kinds are skipped. */
  async next<Kind extends EventKind>(kind: Kind): Promise<EventOf<Kind>> {
    for (;;) {
      const { value, done } = (await this.#unread.next()) as IteratorResult<[ConversationEvent], undefined>;
      if (done === true) throw new Error(`${this.name} gets no more events`);
      const [event] = value;
      if (event.kind === kind) return event as EventOf<Kind>;
    }
  }

  /** Waits for the next text of another member. */
  async nextText(): Promise<string> {
    for (;;) {
      const { senderDid, content } = await this.next('message');
      if (senderDid !== this.did) return new TextDecoder().decode(content);
    }
  }
}
