import { createApiClient } from '#client/api/api-client.ts';
import type { ConversationEvent } from '#client/conversation/conversation-event.ts';
import { openMessenger } from '#client/conversation/messenger.ts';
import type { Messenger } from '#client/conversation/messenger.ts';
import type { MlsEngine } from '#client/mls/mls-engine.ts';
import type { Storage } from '#client/storage/storage.ts';
import type { StreamState } from '#client/stream/event-stream.ts';
import { AdvisedError, adviceFor } from './advice.ts';
import type { History } from './history.ts';
import { linesOf } from './lines-of-event.ts';
import type { ConversationHistory } from './line.ts';
import { SendQueue } from './send-queue.ts';

export interface PersonOptions {
  readonly did: string;
  /** What others call this person. */
  readonly name: string;
  readonly handle: string;
  readonly getToken: (nsid: string, signal: AbortSignal) => Promise<string>;
  readonly engine: MlsEngine;
  readonly storage: Storage & { close(): void };
  readonly history: History;
}

/** `failed`: the messenger could not be opened, and `problem` says what to do. */
export type PersonState = 'offline' | 'opening' | 'online' | 'reconnecting' | 'failed';

/** How long a person counts as typing after the last report. */
const typingMs = 6_000;
/** A report of typing that comes this soon after a message of the same person was sent before that message. */
const typingBeforeMessageMs = 1_000;
/** Messages that are being sent get this long before the messenger is closed. */
const closeWaitMs = 2_000;

/** One person with one device in this page: what they see, and what they can do. */
export class Person {
  readonly did: string;
  readonly name: string;
  readonly handle: string;
  readonly #options: PersonOptions;
  readonly #listeners = new Set<() => void>();
  readonly #typing = new Map<string, Map<string, ReturnType<typeof setTimeout>>>();
  /** When the last message of each person arrived, by DID. */
  readonly #lastMessageMs = new Map<string, number>();
  readonly #queue: SendQueue;
  #state: PersonState = 'offline';
  #streamState: StreamState = 'connecting';
  #problem = '';
  #messenger: Messenger | undefined;
  /** Resolves when the last messenger uses the storage no more. */
  #closed: Promise<void> = Promise.resolve();

  constructor(options: PersonOptions) {
    this.#options = options;
    this.did = options.did;
    this.name = options.name;
    this.handle = options.handle;
    this.#queue = new SendQueue({
      history: options.history,
      messenger: () => this.#messenger,
      onChange: () => this.#changed(),
      onError: (error) => this.#report(error),
    });
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
      await this.#closed;
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
      // A registered device opens without the network.
      this.#enter(this.#streamState === 'open' ? 'online' : 'reconnecting');
      this.#queue.resumeAll();
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
    this.#closed = this.#close(messenger);
    await this.#closed;
  }

  async #close(messenger: Messenger): Promise<void> {
    await Promise.race([this.#queue.idle(), new Promise((resolve) => setTimeout(resolve, closeWaitMs))]);
    await messenger.close();
  }

  /** Ends the use of the database for good. */
  async closeStorage(): Promise<void> {
    await this.goOffline();
    await this.#closed;
    this.#options.storage.close();
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

  /** Joins the group anew, after a member's commit was refused. */
  rejoin(convoId: string): Promise<void> {
    return this.#online().rejoin(convoId);
  }

  leave(convoId: string): Promise<void> {
    return this.#online().leave(convoId);
  }

  /** Stores a message, and sends it now or when the person is online again. */
  async send(convoId: string, text: string): Promise<void> {
    await this.#options.history.addUnsent(convoId, text);
    this.#changed();
    this.#queue.flush(convoId);
  }

  /** Sends a message again that the server has refused. */
  sendAgain(convoId: string, order: number): void {
    this.#options.history.changeUnsent(convoId, order, { state: 'waiting', problem: undefined });
    this.#changed();
    this.#queue.flush(convoId);
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
      if (event.kind === 'message' && event.senderDid === this.did) await this.#queue.onDelivered(event);
      else if (event.kind === 'message') {
        this.#lastMessageMs.set(event.senderDid, performance.now());
        this.#noteTyping(convoId, event.senderDid, false);
      }
    }
    this.#changed();
  }

  #noteTyping(convoId: string, did: string, isTyping: boolean): void {
    const people = this.#typing.get(convoId) ?? new Map<string, ReturnType<typeof setTimeout>>();
    this.#typing.set(convoId, people);
    clearTimeout(people.get(did));
    people.delete(did);
    const sinceMessageMs = performance.now() - (this.#lastMessageMs.get(did) ?? Number.NEGATIVE_INFINITY);
    if (!isTyping || sinceMessageMs < typingBeforeMessageMs) return;
    const forget = (): void => {
      people.delete(did);
      this.#changed();
    };
    people.set(did, setTimeout(forget, typingMs));
  }

  #onStreamState(state: StreamState): void {
    this.#streamState = state;
    const messenger = this.#messenger;
    if (messenger === undefined) return;
    if (state === 'closed') {
      // No other connection can help, for example because the sign-in is over.
      this.#messenger = undefined;
      this.#enter(
        'failed',
        this.#problem === '' ? 'The server has ended the connection. Go online again.' : this.#problem,
      );
      this.#closed = messenger.close();
    } else if (state !== 'open') this.#enter('reconnecting');
    else if (this.#state === 'reconnecting') {
      this.#enter('online');
      this.#queue.resumeAll();
    }
  }

  /** Shows an error of work that nobody waits for. */
  #report(error: unknown): void {
    if (this.#messenger === undefined) return;
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
