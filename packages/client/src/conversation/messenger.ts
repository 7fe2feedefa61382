import { withSignal } from '../api/abort.ts';
import type { OperationOptions } from '../api/abort.ts';
import type { ApiClient } from '../api/api-client.ts';
import { encodeHex } from '../api/bytes.ts';
import type { MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import { openEventStream } from '../stream/event-stream.ts';
import type { EventStream, EventStreamOptions, StreamState } from '../stream/event-stream.ts';
import { addMembers, removeMember, updateKeys, withKeyPackages } from './commit-makers.ts';
import type { Context } from './context.ts';
import type { ConversationEvent } from './conversation-event.ts';
import { ClosedError, isNotMember } from './conversation-error.ts';
import { ConversationSet } from './conversation-set.ts';
import type { Conversation } from './conversation.ts';
import { forgetRegistrationAfter, openDevice } from './device.ts';
import { sha256 } from './digest.ts';
import { catchUpAll, handleStreamEvent } from './handle-stream-event.ts';
import type { StreamHandlerDeps } from './handle-stream-event.ts';
import { joinExternally, rejoin } from './join.ts';
import { createKeyPackageSupply } from './key-package-supply.ts';
import type { KeyPackageSupply } from './key-package-supply.ts';
import { newConversation } from './new-conversation.ts';
import { createRetrier } from './retrier.ts';
import type { Retrier } from './retrier.ts';
import { change, deliverInbox, keys, readDevice } from './records.ts';

export interface MessengerOptions {
  readonly api: ApiClient;
  /** DID of the account that `api` calls for. */
  readonly did: string;
  readonly engine: MlsEngine;
  readonly storage: Storage;
  /** Name of the device, for the person's own list; the service stores it encrypted. */
  readonly deviceName: string;
  /**
   * Called for each event, one after the other within a conversation. The next message is processed when it resolves. A message whose call did
   * not resolve comes again at the next start. It must not wait for an operation of the same conversation.
   */
  readonly onEvent: (event: ConversationEvent) => Promise<void> | void;
  /** Called when the live connection changes. */
  readonly onStateChange?: (state: StreamState) => void;
  /** Called for errors of work that no caller waits for; the messenger goes on. */
  readonly onError?: (error: unknown) => void;
  /** One-time key packages that others should be able to claim; default 20. */
  readonly keyPackageTarget?: number;
  /**
   * Tasks that any member can do (a removal after a member left, a new device, a GroupInfo) are done after a random wait of up to this long,
   * so that mostly one member does them; default 3,000.
   */
  readonly sharedTaskWaitMaxMs?: number;
  readonly stream?: Pick<EventStreamOptions, 'transport' | 'waitMaxMs' | 'idleTimeoutMs'>;
}

/** All conversations of one device. Every operation ends with an error of `OperationOptions` when its signal is aborted or its time is over. */
export interface Messenger {
  readonly did: string;
  readonly deviceId: string;
  /** Ids of the conversations in whose groups this device is. */
  convoIds(): string[];
  /** DIDs of the members of the MLS group and its epoch; undefined where this device is not in the group. */
  group(convoId: string): { readonly epoch: number; readonly members: readonly string[] } | undefined;
  /** Creates a conversation with these people. @returns its id. @throws NoKeyPackageError, ApiError. */
  createConversation(
    dids: readonly string[],
    metadata?: { name?: string; description?: string },
    options?: OperationOptions,
  ): Promise<string>;
  /** Adds people with all their devices. @throws NoKeyPackageError, TooManyEpochRacesError, ApiError. */
  addMembers(convoId: string, dids: readonly string[], options?: OperationOptions): Promise<void>;
  /** @throws TooManyEpochRacesError, ApiError. */
  removeMember(convoId: string, did: string, options?: OperationOptions): Promise<void>;
  /** Leaves; a remaining member commits the removal. @throws ApiError `LastMember` or `LastAdmin`. */
  leave(convoId: string, options?: OperationOptions): Promise<void>;
  /** Joins with the secret of an invite. @throws JoinPendingError, ApiError. */
  joinWithInvite(convoId: string, secret: Uint8Array, options?: OperationOptions): Promise<void>;
  /** Joins anew by an external commit, for a group whose state may be wrong. @throws JoinPendingError, ApiError. */
  rejoin(convoId: string, options?: OperationOptions): Promise<void>;
  /** Renews this device's keys in a group. @throws TooManyEpochRacesError, ApiError. */
  updateKeys(convoId: string, options?: OperationOptions): Promise<void>;
  /**
   * Encrypts and sends. The message is stored first: after NoResponseError, TokenError or a crash it is sent later. After `signal` or
   * `timeoutMs` too, unless the operation still waited for others of the conversation.
   * @returns the message's id.
   * @throws NotInGroupError, MessageTooLargeError, ApiError, NoResponseError, TokenError.
   */
  send(convoId: string, content: Uint8Array, options?: OperationOptions): Promise<string>;
  /** Joins if this device is not in the group, processes everything that the service has, and sends what was not sent. @throws ApiError, NoResponseError. */
  catchUp(convoId: string, options?: OperationOptions): Promise<void>;
  sendTyping(convoId: string, isTyping: boolean): void;
  /** Ends the stream and all operations, which reject with ClosedError; waits until none runs. */
  close(): Promise<void>;
}

/**
 * Opens the messenger of this device: registers it if it is new, publishes key packages, joins and reads all conversations,
 * and then follows the live stream. A registered device opens without the network, and does all that when the network is there.
 * @throws ApiError when the service does not let the device start; NoResponseError, TokenError when a new device is not registered.
 */
export async function openMessenger(options: MessengerOptions): Promise<Messenger> {
  const closing = new AbortController();
  const { signal } = closing;
  const { api, engine, storage } = options;
  const { identity, deviceId } = await openDevice(options, signal);
  const emit = async (event: ConversationEvent): Promise<void> => options.onEvent(event);
  const messenger = new DeviceMessenger(options, { api, engine, storage, identity, deviceId, signal, emit }, closing);
  try {
    await messenger.start();
  } catch (error) {
    await messenger.close();
    await forgetRegistrationAfter(error, storage);
    return openMessenger(options);
  }
  return messenger;
}

class DeviceMessenger implements Messenger {
  readonly did: string;
  readonly deviceId: string;
  readonly #options: MessengerOptions;
  readonly #context: Context;
  readonly #closing: AbortController;
  readonly #supply: KeyPackageSupply;
  readonly #retrier: Retrier;
  readonly #handlerDeps: StreamHandlerDeps;
  readonly #conversations: ConversationSet;
  #stream: EventStream | undefined;
  #following: Promise<void> = Promise.resolve();
  /** Whether the first reading of all conversations has begun. */
  #hasBegunReading = false;

  constructor(options: MessengerOptions, context: Context, closing: AbortController) {
    this.did = context.identity.did;
    this.deviceId = context.deviceId;
    this.#options = options;
    this.#context = context;
    this.#closing = closing;
    this.#supply = createKeyPackageSupply(context, options.keyPackageTarget ?? 20);
    const onError = (error: unknown): void => this.#report(error);
    this.#retrier = createRetrier({ signal: context.signal, onError });
    this.#conversations = new ConversationSet({ context, retrier: this.#retrier, onError });
    this.#handlerDeps = {
      context,
      supply: this.#supply,
      retrier: this.#retrier,
      conversations: this.#conversations,
      sharedTaskWaitMaxMs: options.sharedTaskWaitMaxMs ?? 3_000,
    };
  }

  async start(): Promise<void> {
    const { api, signal, storage } = this.#context;
    await deliverInbox(this.#context);
    await this.#conversations.load();
    this.#stream = openEventStream(api, {
      ...this.#options.stream,
      signal,
      cursor: (await readDevice(storage))?.cursor,
      onStateChange: (state) => {
        if (state === 'open') this.#onStreamOpen();
        this.#options.onStateChange?.(state);
      },
    });
    this.#following = this.#follow(this.#stream).catch((error: unknown) => this.#report(error));
    await this.#retrier.nowOrLater('key packages', () => this.#supply.replenish());
    this.#hasBegunReading = true;
    await this.#retrier.nowOrLater('all conversations', () => catchUpAll(this.#handlerDeps, 'all'));
  }

  convoIds(): string[] {
    return this.#conversations.opened.filter(({ isInGroup }) => isInGroup).map(({ convoId }) => convoId);
  }

  group(convoId: string): { readonly epoch: number; readonly members: readonly string[] } | undefined {
    const group = this.#conversations.groupOf(convoId);
    return group && { epoch: group.epoch, members: [...new Set(group.members.map(({ did }) => did))] };
  }

  createConversation(
    dids: readonly string[],
    metadata?: { name?: string; description?: string },
    options?: OperationOptions,
  ): Promise<string> {
    return this.#within(options, async (signal) => {
      const context = { ...this.#context, signal };
      return withKeyPackages(context, dids, async (claimed) => {
        const { convoId, record } = await newConversation(context, claimed, metadata);
        await this.#conversations.inOrder(convoId, (found) => found.enter(record), signal);
        return convoId;
      });
    });
  }

  addMembers(convoId: string, dids: readonly string[], options?: OperationOptions): Promise<void> {
    return this.#within(options, (signal) =>
      withKeyPackages({ ...this.#context, signal }, dids, (claimed) =>
        this.#conversations.inOrder(
          convoId,
          (found) => found.commit(addMembers(this.#context, convoId, claimed)),
          signal,
        ),
      ),
    );
  }

  removeMember(convoId: string, did: string, options?: OperationOptions): Promise<void> {
    return this.#operation(convoId, options, (found) => found.commit(removeMember(this.#context, convoId, did)));
  }

  updateKeys(convoId: string, options?: OperationOptions): Promise<void> {
    return this.#operation(convoId, options, (found) => found.commit(updateKeys(this.#context, convoId)));
  }

  leave(convoId: string, options?: OperationOptions): Promise<void> {
    return this.#operation(convoId, options, async (found) => {
      try {
        await this.#context.api.call('leaveConvo', { convoId }, { signal: found.signal });
      } catch (error) {
        // An attempt whose response was lost may have done it.
        if (!isNotMember(error) || found.record === undefined) throw error;
      }
      await found.exit();
    });
  }

  async joinWithInvite(convoId: string, secret: Uint8Array, options?: OperationOptions): Promise<void> {
    const invite = { pskHash: encodeHex(await sha256(secret)) };
    return this.#operation(convoId, options, (found) => joinExternally(this.#context, found, invite));
  }

  rejoin(convoId: string, options?: OperationOptions): Promise<void> {
    return this.#operation(convoId, options, (found) => rejoin(this.#context, found));
  }

  send(convoId: string, content: Uint8Array, options?: OperationOptions): Promise<string> {
    const messageId = crypto.randomUUID();
    let isStored = false;
    // A device that loses the group on the way and joins it anew sends what it has stored, not a second message.
    return this.#operation(convoId, options, async (found) => {
      if (!isStored) await found.store({ messageId, content });
      isStored = true;
      await found.sendStored(messageId);
      return messageId;
    });
  }

  catchUp(convoId: string, options?: OperationOptions): Promise<void> {
    return this.#operation(convoId, options, (found) => this.#conversations.bringUpToDate(found));
  }

  sendTyping(convoId: string, isTyping: boolean): void {
    this.#stream?.sendTyping(convoId, isTyping);
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('the messenger was closed'));
    await this.#following;
    await Promise.all(this.#conversations.opened.map((each) => each.idle()));
  }

  #report(error: unknown): void {
    if (!this.#context.signal.aborted) this.#options.onError?.(error);
  }

  #within<Result>(
    options: OperationOptions | undefined,
    task: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return withSignal([this.#context.signal, options?.signal], options?.timeoutMs, task);
  }

  #operation<Result>(
    convoId: string,
    options: OperationOptions | undefined,
    task: (of: Conversation) => Promise<Result>,
  ): Promise<Result> {
    return this.#within(options, (signal) => this.#conversations.inOrder(convoId, task, signal));
  }

  /** Reads what may have changed between the last reading and the opening of the stream. */
  #onStreamOpen(): void {
    const deps = this.#handlerDeps;
    this.#retrier.wake();
    if (!this.#hasBegunReading) return;
    const waitMs = Math.random() * deps.sharedTaskWaitMaxMs;
    // Without a cursor the stream reports nothing of the time before it opened.
    if (this.#stream?.cursor === undefined) this.#retrier.start('all conversations', () => catchUpAll(deps, 'all'), 0);
    else this.#retrier.start('changed conversations', () => catchUpAll(deps, 'changed'), waitMs);
  }

  async #follow(stream: EventStream): Promise<void> {
    const { storage } = this.#context;
    for await (const event of stream) {
      await handleStreamEvent(this.#handlerDeps, event).catch((error: unknown) => {
        if (!isNotMember(error)) this.#report(error);
      });
      const device = await readDevice(storage);
      if (device !== undefined) await storage.write([change(keys.device, { ...device, cursor: event.cursor })]);
    }
  }
}
