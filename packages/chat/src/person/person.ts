import { createApiClient } from '#client/api/api-client.ts';
import { NoResponseError } from '#client/api/api-error.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { ClosedError, openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import type { MlsEngine } from '#client/mls/mls-engine.ts';
import type { Storage } from '#client/storage/storage.ts';
import type { StreamState } from '#client/stream/event-stream.ts';
import { AdvisedError, adviceFor } from './advice.ts';
import type { History } from './history.ts';
import { linesOf } from './lines-of-event.ts';
import type { ConversationHistory } from './line.ts';

export interface PersonOptions {
  readonly did: string;
  /** What others call this person. */
  readonly name: string;
  readonly handle: string;
  readonly getToken: (nsid: string, signal: AbortSignal) => Promise<string>;
  readonly engine: MlsEngine;
  readonly storage: Storage;
  readonly history: History;
}

/** `failed`: the messenger could not be opened, and `problem` says what to do. */
export type PersonState = 'offline' | 'opening' | 'online' | 'reconnecting' | 'failed';

/** How long a person counts as typing after the last report. */
const typingMs = 6_000;

/** One person with one device in this page: what they see, and what they can do. */
export class Person {
  readonly did: string;
  readonly name: string;
  readonly handle: string;
  readonly #options: PersonOptions;
  readonly #listeners = new Set<() => void>();
  readonly #typing = new Map<string, Map<string, ReturnType<typeof setTimeout>>>();
  /** The last transmission of each conversation, so that messages are sent in order. */
  readonly #sending = new Map<string, Promise<void>>();
  #state: PersonState = 'offline';
  #problem = '';
  #messenger: Messenger | undefined;

  constructor(options: PersonOptions) {
    this.#options = options;
    this.did = options.did;
    this.name = options.name;
    this.handle = options.handle;
  }

  get state(): PersonState {
    return this.#state;
  }

  /** Why the person is not online, and what to do; empty if nothing is wrong. */
  get problem(): string {
    return this.#problem;
  }

  get conversations(): readonly ConversationHistory[] {
    return this.#options.history.conversations;
  }

  conversation(convoId: string): ConversationHistory | undefined {
    return this.#options.history.conversation(convoId);
  }

  /** DIDs of the people who are typing in this conversation. */
  typing(convoId: string): readonly string[] {
    return [...(this.#typing.get(convoId)?.keys() ?? [])];
  }

  /** Calls `listener` after each change. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Opens the messenger, and sends what was written offline. */
  async goOnline(): Promise<void> {
    if (this.#state !== 'offline' && this.#state !== 'failed') return;
    this.#enter('opening');
    const { did, name, engine, storage, getToken } = this.#options;
    try {
      const messenger = await openMessenger({
        api: createApiClient({ serviceUrl: location.origin, getToken }),
        did,
        engine,
        storage,
        deviceName: `${name}'s browser`,
        keyPackageTarget: 10,
        sharedTaskWaitMaxMs: 500,
        stream: { waitMaxMs: 5_000 },
        onEvent: (event) => this.#onEvent(event),
        onStateChange: (state) => this.#onStreamState(state),
        onError: (error) => this.#report(error),
      });
      this.#messenger = messenger;
      this.#enter('online');
      for (const { convoId } of this.conversations) this.#flush(convoId);
    } catch (error) {
      this.#enter('failed', adviceFor(error));
    }
  }

  /** Closes the stream. What is written until `goOnline` waits on this device. */
  async goOffline(): Promise<void> {
    const messenger = this.#messenger;
    if (messenger === undefined) return;
    this.#messenger = undefined;
    this.#typing.clear();
    this.#enter('offline');
    await messenger.close();
  }

  /** @returns the id of the conversation. */
  createConversation(dids: readonly string[]): Promise<string> {
    return this.#online().createConversation(dids);
  }

  add(convoId: string, did: string): Promise<void> {
    return this.#online().addMembers(convoId, [did]);
  }

  remove(convoId: string, did: string): Promise<void> {
    return this.#online().removeMember(convoId, did);
  }

  leave(convoId: string): Promise<void> {
    return this.#online().leave(convoId);
  }

  /** Stores a message, and sends it now or when the person is online again. */
  async send(convoId: string, text: string): Promise<void> {
    await this.#options.history.addUnsent(convoId, text);
    this.#changed();
    this.#flush(convoId);
  }

  /** Sends a message again that the server has refused. */
  sendAgain(convoId: string, order: number): void {
    this.#options.history.changeUnsent(convoId, order, { state: 'waiting', problem: undefined });
    this.#changed();
    this.#flush(convoId);
  }

  async deleteUnsent(convoId: string, order: number): Promise<void> {
    await this.#options.history.forgetUnsent(convoId, order);
    this.#options.history.hideUnsent(convoId, order);
    this.#changed();
  }

  reportTyping(convoId: string, isTyping: boolean): void {
    this.#messenger?.sendTyping(convoId, isTyping);
  }

  async markRead(convoId: string): Promise<void> {
    if (this.conversation(convoId)?.facts.unreadCount === 0) return;
    await this.#options.history.append(convoId, [], { unreadCount: 0 });
    this.#changed();
  }

  /** Deletes the lines of a conversation in which this person is not any more. */
  async deleteConversation(convoId: string): Promise<void> {
    await this.#options.history.delete(convoId);
    this.#changed();
  }

  #online(): Messenger {
    if (this.#messenger !== undefined) return this.#messenger;
    throw new AdvisedError(`${this.name} is offline. Go online first.`);
  }

  async #onEvent(event: ConversationEvent): Promise<void> {
    const { convoId } = event;
    if (event.kind === 'typing') this.#noteTyping(convoId, event.did, event.isTyping);
    else {
      const { history } = this.#options;
      const { lines, facts } = linesOf(event, { did: this.did, facts: history.conversation(convoId)?.facts });
      await history.append(convoId, lines, facts);
      if (event.kind === 'message') this.#onDelivered(event);
    }
    this.#changed();
  }

  /** Hides the unsent message that has come back from the service. */
  #onDelivered({ convoId, messageId, senderDid, content }: Extract<ConversationEvent, { kind: 'message' }>): void {
    if (senderDid !== this.did) return this.#noteTyping(convoId, senderDid, false);
    const unsent = this.conversation(convoId)?.unsent.filter(({ state }) => state === 'sending') ?? [];
    const text = new TextDecoder().decode(content);
    const own = unsent.find((each) => each.messageId === messageId) ?? unsent.find((each) => each.text === text);
    if (own !== undefined) this.#options.history.hideUnsent(convoId, own.order);
  }

  #noteTyping(convoId: string, did: string, isTyping: boolean): void {
    const people = this.#typing.get(convoId) ?? new Map<string, ReturnType<typeof setTimeout>>();
    this.#typing.set(convoId, people);
    clearTimeout(people.get(did));
    people.delete(did);
    if (!isTyping) return;
    const forget = (): void => {
      people.delete(did);
      this.#changed();
    };
    people.set(did, setTimeout(forget, typingMs));
  }

  #onStreamState(state: StreamState): void {
    if (this.#messenger === undefined || state === 'closed') return;
    if (state !== 'open') this.#enter('reconnecting');
    else if (this.#state === 'reconnecting') {
      this.#enter('online');
      for (const { convoId } of this.conversations) this.#resume(convoId);
    }
  }

  /** Sends what the messenger could not send while the connection was interrupted, and then what has waited here. */
  #resume(convoId: string): void {
    if (this.#messenger?.group(convoId) === undefined) return;
    this.#messenger
      .catchUp(convoId)
      .then(() => this.#flush(convoId))
      .catch((error: unknown) => this.#report(error));
  }

  /** Sends the waiting messages of a conversation, one after the other. */
  #flush(convoId: string): void {
    const earlier = this.#sending.get(convoId) ?? Promise.resolve();
    const later = earlier.then(() => this.#sendWaiting(convoId)).catch((error: unknown) => this.#report(error));
    this.#sending.set(convoId, later);
  }

  async #sendWaiting(convoId: string): Promise<void> {
    const { history } = this.#options;
    for (const { order, text, state } of this.conversation(convoId)?.unsent ?? []) {
      const messenger = this.#messenger;
      if (messenger === undefined) return;
      if (state !== 'waiting') continue;
      history.changeUnsent(convoId, order, { state: 'sending' });
      try {
        const messageId = await messenger.send(convoId, new TextEncoder().encode(text));
        history.changeUnsent(convoId, order, { messageId });
        await history.forgetUnsent(convoId, order);
      } catch (error) {
        if (error instanceof NoResponseError) await history.forgetUnsent(convoId, order);
        else if (messenger !== this.#messenger || error instanceof ClosedError) {
          history.changeUnsent(convoId, order, { state: 'waiting' });
        } else history.changeUnsent(convoId, order, { state: 'failed', problem: adviceFor(error) });
      }
      this.#changed();
    }
  }

  /** Shows an error of work that nobody waits for. */
  #report(error: unknown): void {
    if (error instanceof ClosedError) return;
    this.#problem = adviceFor(error);
    this.#changed();
  }

  #enter(state: PersonState, problem = ''): void {
    this.#state = state;
    this.#problem = problem;
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
