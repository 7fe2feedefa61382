import { sleep, unlessAborted } from '../api/abort.ts';
import { ApiError, isApiError, isTransient } from '../api/api-error.ts';
import type { MessageView } from '../api/methods.ts';
import { messagesAfter } from '../api/pages.ts';
import type { GroupDescription } from '../mls/mls-engine.ts';
import type { StorageChange } from '../storage/storage.ts';
import type { CommitMaker } from './commit-makers.ts';
import type { Context } from './context.ts';
import {
  CommitRefusedError,
  isNotMember,
  LostGroupError,
  NotInGroupError,
  TooManyEpochRacesError,
} from './conversation-error.ts';
import { sha256 } from './digest.ts';
import { encryptOutgoing, transmit, transmitLater } from './outgoing.ts';
import type { OutgoingTarget } from './outgoing.ts';
import { processMessage } from './process-message.ts';
import { change, keys, readGroup } from './records.ts';
import type { GroupRecord, OutgoingMessage } from './records.ts';

const attemptsMax = 30;

/**
 * One conversation on this device. All operations run one after the other; each stores the next state of the group before anything that
 * depends on it leaves the device, and before the app or the service learns that a message was processed.
 */
export class Conversation {
  readonly convoId: string;
  readonly #context: Context;
  readonly #target: OutgoingTarget;
  #record: GroupRecord | undefined;
  /** A refusal of an earlier start, of which the app has not been told since this one. */
  #refusedBefore: GroupRecord['refused'];
  #last: Promise<unknown> = Promise.resolve();
  #signal: AbortSignal;

  private constructor(context: Context, convoId: string, record: GroupRecord | undefined) {
    this.#context = context;
    this.convoId = convoId;
    this.#record = record;
    this.#refusedBefore = record?.refused;
    this.#signal = context.signal;
    this.#target = {
      context,
      convoId,
      signal: () => this.#signal,
      record: () => this.#require(),
      store: (next, more) => this.#store(next, more),
      emitEpoch: () => this.#emitEpoch(),
      processNew: () => this.#processNew(),
    };
  }

  /** The conversation as stored. */
  static async open(context: Context, convoId: string): Promise<Conversation> {
    return new Conversation(context, convoId, await readGroup(context.storage, convoId));
  }

  /** Ends the calls of the operation that is running. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Undefined when the device has never been in the group, or has left it. */
  get record(): GroupRecord | undefined {
    return this.#record;
  }

  get isInGroup(): boolean {
    return this.#record !== undefined && this.#record.needsJoin === undefined;
  }

  /** Whether this device can commit: it is in the group, and has refused no commit of it. */
  get isActive(): boolean {
    return this.isInGroup && this.#record?.refused === undefined;
  }

  /** Tells the app once of a commit that this device refused before it was started. */
  async tellRefusedBefore(): Promise<void> {
    const refused = this.#refusedBefore;
    this.#refusedBefore = undefined;
    if (refused !== undefined) await this.#context.emit({ kind: 'commit-refused', convoId: this.convoId, ...refused });
  }

  /** Epoch and members of the MLS group; undefined when the device has no keys of it. */
  get group(): GroupDescription | undefined {
    return this.#record?.needsJoin !== undefined
      ? undefined
      : this.#record && this.#context.engine.describe(this.#record.state);
  }

  /** Runs `task` after all earlier operations of this conversation. `signal` ends the wait and the calls of the task. */
  run<Result>(task: () => Promise<Result>, signal = this.#context.signal): Promise<Result> {
    const running = this.#last.then(() => {
      signal.throwIfAborted();
      this.#signal = signal;
      return task();
    });
    this.#last = running.catch(() => undefined);
    return unlessAborted(running, signal);
  }

  /** Resolves when no operation runs or waits. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /**
   * Stores the keys of a group that this device creates or joins, with `more` in one write, and sends the call that does so if there is one.
   * @throws ApiError, NoResponseError; after an ApiError the device is not in the group.
   */
  async enter(record: GroupRecord, more: readonly StorageChange[] = []): Promise<void> {
    await this.#store(record, more);
    await this.#completeEntry();
  }

  async #completeEntry(): Promise<void> {
    await this.#sendPending();
    await this.#context.emit({ kind: 'joined', convoId: this.convoId });
    await this.#emitEpoch();
  }

  /** Deletes the keys of the group. */
  async exit(): Promise<void> {
    if (this.#record === undefined) return;
    await this.#forget();
    await this.#context.emit({ kind: 'removed', convoId: this.convoId });
  }

  async #forget(): Promise<void> {
    await this.#context.storage.write([change(keys.group(this.convoId), undefined)]);
    this.#record = undefined;
  }

  /**
   * Processes all messages of the log that this device has not processed, then sends what was not sent.
   * @throws LostGroupError when the device has to join anew; CommitRefusedError, ApiError, NoResponseError.
   */
  async catchUp(): Promise<void> {
    if (this.#record === undefined) return;
    await this.#resumeEntry();
    await this.#processNew();
    await this.#resumePending();
    for (const message of this.#record?.outgoing ?? []) await transmitLater(this.#target, message);
  }

  /** Processes a message that the stream delivered; reads the log if others are missing before it. */
  async receive(message: MessageView): Promise<void> {
    if (this.#record === undefined || this.#record.refused !== undefined) return;
    if (message.seq <= this.#record.lastSeq) return;
    await this.#resumeEntry();
    if (message.seq === this.#require().lastSeq + 1) await processMessage(this.#target, message);
    else await this.#processNew();
  }

  /**
   * Encrypts a message and stores it. From then on each `catchUp` sends it, until the log has it.
   * @throws NotInGroupError, MessageTooLargeError, LostGroupError.
   */
  async store(message: Pick<OutgoingMessage, 'messageId' | 'content'>): Promise<void> {
    await this.#resumeEntry();
    await encryptOutgoing(this.#target, message);
  }

  /** Sends a stored message, unless the log has it. @throws LostGroupError, ApiError, NoResponseError. */
  async sendStored(id: string): Promise<void> {
    const stored = this.#record?.outgoing.find(({ messageId }) => messageId === id);
    if (stored !== undefined) await transmit(this.#target, stored);
  }

  /**
   * Makes a commit and sends it. If another commit wins the epoch, the device processes that one and tries again.
   * @throws NotInGroupError, TooManyEpochRacesError, ApiError, NoResponseError.
   */
  async commit(make: CommitMaker): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      await this.catchUp();
      const record = this.#require();
      const made = await make(record, this.#context.engine.describe(record.state));
      if (made === undefined) return;
      const { pending, call } = made;
      const digest = await sha256(pending.commit);
      await this.#store({ ...record, pending: { epoch: pending.epoch, digest, nextState: pending.nextState, call } });
      if (await this.#sendPending()) return;
      await sleep(Math.random() * 40 * attempt, this.#signal);
    }
    throw new TooManyEpochRacesError(`${attemptsMax} commits lost their epoch to commits of other members`);
  }

  /** GroupInfo of the current epoch. @throws NotInGroupError. */
  exportGroupInfo(): Promise<Uint8Array> {
    return this.#context.engine.exportGroupInfo(this.#require().state);
  }

  /** Sends the pending commit and processes the log up to it. @returns false when another commit has won the epoch. */
  async #sendPending(): Promise<boolean> {
    const pending = this.#require().pending;
    if (pending === undefined) return true;
    const { call, isEntry } = pending;
    try {
      await this.#context.api.call(call.name, call.request as never, { signal: this.#signal });
    } catch (error) {
      if (!(error instanceof ApiError) || isTransient(error)) throw error;
      if (isEntry) {
        await this.#endEntry(error);
        throw error;
      }
      await this.#store({ ...this.#require(), pending: undefined });
      if (!isApiError(error, 'EpochMismatch')) throw error;
      await this.#processNew();
      return false;
    }
    if (isEntry) await this.#store({ ...this.#require(), pending: undefined });
    else await this.#processNew();
    return true;
  }

  /** After a refused call that would have created or joined the group: the state is of no use, what was not sent is kept. */
  async #endEntry(error: ApiError): Promise<void> {
    const record = this.#require();
    const mayTryAgain = error.error === 'EpochMismatch' || (record.joined?.isRejoin === true && !isNotMember(error));
    if (record.pending?.call.name !== 'processExternalCommit' || !mayTryAgain) return this.#forget();
    return this.#store({
      ...record,
      pending: undefined,
      needsJoin: record.joined?.isRejoin === true ? 'anew' : 'first',
    });
  }

  /** Creates or joins the group if a crash or a lost connection has hidden whether the service did it. */
  async #resumeEntry(): Promise<void> {
    if (this.#record?.needsJoin !== undefined) throw new LostGroupError(this.convoId);
    if (this.#record?.refused !== undefined) throw new CommitRefusedError(this.convoId);
    if (this.#record?.pending?.isEntry !== true) return;
    try {
      await this.#completeEntry();
    } catch (error) {
      const { record }: { record: GroupRecord | undefined } = this;
      throw record?.needsJoin !== undefined ? new LostGroupError(this.convoId) : error;
    }
  }

  /** Sends a commit again whose result a crash or a lost connection has hidden; the same bytes get the first response. */
  async #resumePending(): Promise<void> {
    if (this.#record?.pending === undefined) return;
    try {
      await this.#sendPending();
    } catch (error) {
      // The change is not possible any more, and its caller has got an error already.
      if (!(error instanceof ApiError) || isTransient(error)) throw error;
    }
  }

  async #processNew(): Promise<void> {
    const lastSeq = this.#record?.lastSeq;
    if (lastSeq === undefined) return;
    for await (const message of messagesAfter(this.#context.api, this.convoId, lastSeq, { signal: this.#signal })) {
      if (this.#record === undefined) return;
      if (message.seq > this.#record.lastSeq) await processMessage(this.#target, message);
    }
  }

  async #store(record: GroupRecord, more: readonly StorageChange[] = []): Promise<void> {
    await this.#context.storage.write([change(keys.group(this.convoId), record), ...more]);
    this.#record = record;
  }

  async #emitEpoch(): Promise<void> {
    const { group } = this;
    if (group === undefined) return;
    const members = [...new Set(group.members.map(({ did }) => did))];
    await this.#context.emit({ kind: 'epoch', convoId: this.convoId, epoch: group.epoch, members });
  }

  #require(): GroupRecord {
    if (this.#record === undefined) throw new NotInGroupError(`this device is not in the group ${this.convoId}`);
    return this.#record;
  }
}
