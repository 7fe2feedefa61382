import { createApiClient } from '#client/api/api-client.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import { createTsMlsEngine } from '#client/mls/ts-mls-engine.ts';
import { createMemoryStorage } from '#client/storage/memory-storage.ts';
import type { Account } from '../../test/support/clients/account.ts';
import type { CheckedClient } from './checked-client.ts';
import type { ServiceAddress } from './front/front-server.ts';
import { textOf } from './record.ts';
import { Talk } from './talk.ts';

/** The member of every conversation that the check itself plays; it talks to the service without faults. */
export class Partner {
  readonly messenger: Messenger;
  readonly #client: CheckedClient;
  readonly #answerMs: number;
  readonly #talks: Map<string, Talk>;

  private constructor(parts: {
    readonly messenger: Messenger;
    readonly client: CheckedClient;
    readonly answerMs: number;
    readonly talks: Map<string, Talk>;
  }) {
    this.messenger = parts.messenger;
    this.#client = parts.client;
    this.#answerMs = parts.answerMs;
    this.#talks = parts.talks;
  }

  /** Opens a partner for `client`, with an account of its own. */
  static async open(options: {
    readonly account: Account;
    readonly service: ServiceAddress;
    readonly client: CheckedClient;
    readonly answerMs: number;
  }): Promise<Partner> {
    const { account, service, client, answerMs } = options;
    const talks = new Map<string, Talk>();
    const messenger = await openMessenger({
      api: createApiClient({
        serviceUrl: service.url,
        getToken: async (nsid) => account.mintToken({ aud: service.serviceDid, lxm: nsid }),
      }),
      did: account.did,
      engine: await createTsMlsEngine(),
      storage: createMemoryStorage(),
      deviceName: 'Partner of the client check',
      keyPackageTarget: 2,
      // A task that waits could undo what the scenario does next.
      sharedTaskWaitMaxMs: 50,
      stream: { waitMaxMs: 500 },
      onEvent: (event) => receive(talks.get('convoId' in event ? event.convoId : ''), event, client),
    });
    return new Partner({ messenger, client, answerMs, talks });
  }

  /** Creates a conversation with the client. */
  async talk(): Promise<Talk> {
    const convoId = await this.messenger.createConversation([this.#client.did]);
    const talk = new Talk(this.messenger, convoId, this.#answerMs);
    this.#talks.set(convoId, talk);
    return talk;
  }

  get talks(): readonly Talk[] {
    return [...this.#talks.values()];
  }

  close(): Promise<void> {
    return this.messenger.close();
  }
}

/** Notes a message of the conversation, and that the client has processed what it answers. */
function receive(talk: Talk | undefined, event: ConversationEvent, client: CheckedClient): void {
  if (talk === undefined || event.kind !== 'message') return;
  const text = new TextDecoder().decode(event.content);
  if (event.senderDid !== client.did) return talk.noteQuestion(text, event.seq);
  const questionSeq = talk.noteAnswer(text, event.messageId);
  if (questionSeq === undefined) return;
  const sent = client.record.calls.find((call) => textOf(call, 'msgId') === event.messageId);
  const atMs = sent?.startedMs ?? performance.now();
  client.record.answered.push({ convoId: talk.convoId, seq: questionSeq, atMs });
}
