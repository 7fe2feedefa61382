import type { ApiClient } from '../api/api-client.ts';
import { isApiError } from '../api/api-error.ts';
import { encodeHex } from '../api/bytes.ts';
import { entriesOf } from '../api/pages.ts';
import type { MlsEngine } from '../mls/mls-engine.ts';
import type { Storage } from '../storage/storage.ts';
import { openEventStream } from '../stream/event-stream.ts';
import type { EventStream, EventStreamOptions, StreamState } from '../stream/event-stream.ts';
import { addMembers, claimKeyPackages, removeMember, updateKeys } from './commit-makers.ts';
import type { Context } from './context.ts';
import type { ConversationEvent } from './conversation-event.ts';
import { LostGroupError } from './conversation-error.ts';
import { Conversation } from './conversation.ts';
import { forgetRegistration, openDevice } from './device.ts';
import { sha256 } from './digest.ts';
import { handleStreamEvent } from './handle-stream-event.ts';
import type { StreamHandlerDeps } from './handle-stream-event.ts';
import { join, joinExternally } from './join.ts';
import { createKeyPackageSupply } from './key-package-supply.ts';
import type { KeyPackageSupply } from './key-package-supply.ts';
import { newConversation } from './new-conversation.ts';
import { change, keys, readConvoIds, readDevice, readInbox } from './records.ts';

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

/** All conversations of one device. */
export interface Messenger {
  readonly did: string;
  readonly deviceId: string;
  /** Ids of the conversations in whose groups this device is. */
  convoIds(): string[];
  /** DIDs of the members of the MLS group and its epoch; undefined where this device is not in the group. */
  group(convoId: string): { readonly epoch: number; readonly members: readonly string[] } | undefined;
  /** Creates a conversation with these people. @returns its id. @throws NoKeyPackageError, ApiError. */
  createConversation(dids: readonly string[], metadata?: { name?: string; description?: string }): Promise<string>;
  /** Adds people with all their devices. @throws NoKeyPackageError, TooManyEpochRacesError, ApiError. */
  addMembers(convoId: string, dids: readonly string[]): Promise<void>;
  /** @throws TooManyEpochRacesError, ApiError. */
  removeMember(convoId: string, did: string): Promise<void>;
  /** Leaves; a remaining member commits the removal. @throws ApiError `LastMember` or `LastAdmin`. */
  leave(convoId: string): Promise<void>;
  /** Joins with the secret of an invite. @throws ApiError. */
  joinWithInvite(convoId: string, secret: Uint8Array): Promise<boolean>;
  /** Joins anew by an external commit, for a group whose state is lost. */
  rejoin(convoId: string): Promise<boolean>;
  /** Renews this device's keys in a group. @throws TooManyEpochRacesError, ApiError. */
  updateKeys(convoId: string): Promise<void>;
  /** Encrypts and sends. It is stored before it is sent. @returns the message's id. */
  send(convoId: string, content: Uint8Array): Promise<string>;
  /** Processes everything that the service has of a conversation, and sends what was not sent. @throws ApiError, NoResponseError. */
  catchUp(convoId: string): Promise<void>;
  sendTyping(convoId: string, isTyping: boolean): void;
  /** Ends the stream and waits for running operations. */
  close(): Promise<void>;
}

/**
 * Opens the messenger of this device: registers it if it is new, publishes key packages, joins and reads all conversations,
 * and then follows the live stream.
 * @throws ApiError, NoResponseError when the service does not let the device start.
 */
export async function openMessenger(options: MessengerOptions): Promise<Messenger> {
  const closing = new AbortController();
  const { signal } = closing;
  const { identity, deviceId } = await openDevice(options, signal);
  const { api, engine, storage } = options;
  const emit = async (event: ConversationEvent): Promise<void> => options.onEvent(event);
  const messenger = new DeviceMessenger(options, { api, engine, storage, identity, deviceId, signal, emit }, closing);
  try {
    await messenger.start();
  } catch (error) {
    if (!isApiError(error, 'DeviceNotFound')) throw error;
    // The service has deleted the device, because it was not used for long or the person has removed it.
    await forgetRegistration(storage);
    return openMessenger(options);
  }
  return messenger;
}

class DeviceMessenger implements Messenger {
  readonly #options: MessengerOptions;
  readonly #context: Context;
  readonly #closing: AbortController;
  readonly #supply: KeyPackageSupply;
  readonly #conversations = new Map<string, Conversation>();
  #stream: EventStream | undefined;
  #following: Promise<void> = Promise.resolve();

  constructor(options: MessengerOptions, context: Context, closing: AbortController) {
    this.#options = options;
    this.#context = context;
    this.#closing = closing;
    this.#supply = createKeyPackageSupply(context, options.keyPackageTarget ?? 20);
  }

  get did(): string {
    return this.#context.identity.did;
  }

  get deviceId(): string {
    return this.#context.deviceId;
  }

  async start(): Promise<void> {
    const { api, signal, storage } = this.#context;
    await this.#deliverInbox();
    await this.#supply.replenish();
    this.#stream = openEventStream(api, {
      ...this.#options.stream,
      signal,
      cursor: (await readDevice(storage))?.cursor,
      onStateChange: (state) => this.#options.onStateChange?.(state),
    });
    this.#following = this.#follow(this.#stream).catch((error: unknown) => this.#report(error));
    await this.#catchUpAll();
  }

  convoIds(): string[] {
    return [...this.#conversations.values()].filter(({ isInGroup }) => isInGroup).map(({ convoId }) => convoId);
  }

  group(convoId: string): { readonly epoch: number; readonly members: readonly string[] } | undefined {
    const group = this.#conversations.get(convoId)?.group;
    return group && { epoch: group.epoch, members: [...new Set(group.members.map(({ did }) => did))] };
  }

  async createConversation(
    dids: readonly string[],
    metadata?: { name?: string; description?: string },
  ): Promise<string> {
    const { convoId, record } = await newConversation(this.#context, dids, metadata);
    await this.#inOrder(convoId, (found) => found.enter(record));
    return convoId;
  }

  async addMembers(convoId: string, dids: readonly string[]): Promise<void> {
    const claimed = await claimKeyPackages(this.#context, dids);
    await this.#inOrder(convoId, (found) => found.commit(addMembers(this.#context, convoId, claimed)));
  }

  removeMember(convoId: string, did: string): Promise<void> {
    return this.#inOrder(convoId, (found) => found.commit(removeMember(this.#context, convoId, did)));
  }

  updateKeys(convoId: string): Promise<void> {
    return this.#inOrder(convoId, (found) => found.commit(updateKeys(this.#context, convoId)));
  }

  leave(convoId: string): Promise<void> {
    const { api, signal } = this.#context;
    return this.#inOrder(convoId, async (found) => {
      await api.call('leaveConvo', { convoId }, { signal });
      await found.exit();
    });
  }

  async joinWithInvite(convoId: string, secret: Uint8Array): Promise<boolean> {
    const pskHash = encodeHex(await sha256(secret));
    return this.#inOrder(convoId, (found) => joinExternally(this.#context, found, { pskHash }));
  }

  rejoin(convoId: string): Promise<boolean> {
    return this.#inOrder(convoId, (found) => joinExternally(this.#context, found, {}));
  }

  send(convoId: string, content: Uint8Array): Promise<string> {
    return this.#inOrder(convoId, (found) => found.send(content));
  }

  catchUp(convoId: string): Promise<void> {
    return this.#inOrder(convoId, (found) => found.catchUp());
  }

  sendTyping(convoId: string, isTyping: boolean): void {
    this.#stream?.sendTyping(convoId, isTyping);
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('the messenger was closed'));
    await this.#following;
    await Promise.all([...this.#conversations.values()].map((each) => each.run(async () => undefined)));
  }

  #report(error: unknown): void {
    if (!this.#context.signal.aborted) this.#options.onError?.(error);
  }

  async #conversation(convoId: string): Promise<Conversation> {
    const known = this.#conversations.get(convoId);
    if (known !== undefined) return known;
    const opened = await Conversation.open(this.#context, convoId);
    // Another call may have opened the same conversation in the meantime.
    const first = this.#conversations.get(convoId) ?? opened;
    this.#conversations.set(convoId, first);
    return first;
  }

  /** Runs `task` in order with the conversation's other operations; a group whose state is lost is joined anew. */
  async #inOrder<Result>(convoId: string, task: (of: Conversation) => Promise<Result>): Promise<Result> {
    const found = await this.#conversation(convoId);
    return found.run(async () => {
      try {
        return await task(found);
      } catch (error) {
        if (!(error instanceof LostGroupError)) throw error;
        await joinExternally(this.#context, found, {});
        return task(found);
      }
    });
  }

  async #deliverInbox(): Promise<void> {
    const { storage, emit } = this.#context;
    for (const { key, convoId, seq, record } of await readInbox(storage)) {
      await emit({ kind: 'message', convoId, seq, ...record });
      await storage.write([change(key, undefined)]);
    }
  }

  /** Brings every conversation up to date, and joins those that have no keys here. */
  async #catchUpAll(): Promise<void> {
    const { api, signal, storage } = this.#context;
    const listed = new Set<string>();
    for (const convoId of await readConvoIds(storage)) await this.#conversation(convoId);
    for await (const { groupId } of entriesOf(api, 'getConvos', { limit: 100 }, { signal })) listed.add(groupId);
    for (const convoId of new Set([...listed, ...this.#conversations.keys()])) {
      await this.#inOrder(convoId, (found) => this.#bringUpToDate(found, listed.has(convoId))).catch((error: unknown) =>
        this.#report(error),
      );
    }
  }

  async #bringUpToDate(conversation: Conversation, isMember: boolean): Promise<void> {
    try {
      if (conversation.isInGroup) await conversation.catchUp();
      else if (isMember) await join(this.#context, conversation);
    } catch (error) {
      if (!isApiError(error, 'NotMember') && !isApiError(error, 'ConvoNotFound')) throw error;
      await conversation.exit();
    }
  }

  async #follow(stream: EventStream): Promise<void> {
    const { storage } = this.#context;
    const deps: StreamHandlerDeps = {
      context: this.#context,
      supply: this.#supply,
      inOrder: (convoId, task) => this.#inOrder(convoId, task),
      catchUpAll: () => this.#catchUpAll(),
      onError: (error) => this.#report(error),
      sharedTaskWaitMaxMs: this.#options.sharedTaskWaitMaxMs ?? 3_000,
    };
    for await (const event of stream) {
      await handleStreamEvent(deps, event).catch((error: unknown) => this.#report(error));
      const device = await readDevice(storage);
      if (device !== undefined) await storage.write([change(keys.device, { ...device, cursor: event.cursor })]);
    }
  }
}

/** The messenger was closed while an operation was running. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';
}
