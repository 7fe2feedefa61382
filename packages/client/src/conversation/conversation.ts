import { ApiError, isApiError } from '../api/api-error.ts';
import { areEqual } from '../api/bytes.ts';
import type { MessageView } from '../api/methods.ts';
import { messagesAfter } from '../api/pages.ts';
import { sleep } from '../api/retry.ts';
import type { GroupDescription, ProcessedMessage } from '../mls/mls-engine.ts';
import type { StorageChange } from '../storage/storage.ts';
import type { CommitMaker } from './commit-makers.ts';
import type { Context } from './context.ts';
import { sha256 } from './digest.ts';
import { pad, unpad } from './padding.ts';
import { LostGroupError, NotInGroupError, TooManyEpochRacesError } from './conversation-error.ts';
import { change, isEntry, keys, readGroup } from './records.ts';
import type { GroupRecord, InboxRecord, JoinRecord, OutgoingMessage } from './records.ts';

const attemptsMax = 30;

/**
 * One conversation on this device. All operations run one after the other; each stores the next state of the group before anything that
 * depends on it leaves the device, and before the app or the service learns that a message was processed.
 */
export class Conversation {
  readonly convoId: string;
  readonly #context: Context;
  #record: GroupRecord | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(context: Context, convoId: string, record: GroupRecord | undefined) {
    this.#context = context;
    this.convoId = convoId;
    this.#record = record;
  }

  /** The conversation as stored. */
  static async open(context: Context, convoId: string): Promise<Conversation> {
    return new Conversation(context, convoId, await readGroup(context.storage, convoId));
  }

  /** What a record keeps when the device joins the group anew: how far it has read, and what it has not sent. */
  get progress(): Pick<GroupRecord, 'lastSeq' | 'outgoing'> {
    return { lastSeq: this.#record?.lastSeq ?? 0, outgoing: this.#record?.outgoing ?? [] };
  }

  get isInGroup(): boolean {
    return this.#record !== undefined;
  }

  /** Epoch and members of the MLS group; undefined when the device has no keys of it. */
  get group(): GroupDescription | undefined {
    return this.#record && this.#context.engine.describe(this.#record.state);
  }

  /** Runs `task` after all earlier operations of this conversation. */
  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const running = this.#last.then(task);
    this.#last = running.catch(() => undefined);
    return running;
  }

  /**
   * Stores the keys of a group that this device creates or joins, with `more` in one write, and sends the call that does so if there is one.
   * @throws ApiError, NoResponseError; after an ApiError the keys are deleted.
   */
  async enter(record: GroupRecord, more: readonly StorageChange[] = []): Promise<void> {
    await this.#store(record, more);
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

  /** Processes all messages of the log that this device has not processed, then sends what was not sent. */
  async catchUp(): Promise<void> {
    if (isEntry(this.#record?.pending?.call)) await this.#sendPending();
    await this.#processNew();
    await this.#resumePending();
    for (const message of this.#record?.outgoing ?? []) await this.#transmit(message);
  }

  /** Processes a message that the stream delivered; reads the log if others are missing before it. */
  async receive(message: MessageView): Promise<void> {
    if (this.#record === undefined || message.seq <= this.#record.lastSeq) return;
    if (message.seq === this.#record.lastSeq + 1) await this.#process(message);
    else await this.#processNew();
  }

  /**
   * Encrypts and sends a message. It is stored on this device before it is sent, and sent again after a crash until the service has it.
   * @returns its id.
   * @throws NotInGroupError, MessageTooLargeError, ApiError, NoResponseError; after the last the message stays to be sent.
   */
  async send(content: Uint8Array): Promise<string> {
    const messageId = crypto.randomUUID();
    const { message, nextState, epoch } = await this.#encrypt(content);
    const outgoing = { messageId, content, epoch, ciphertext: pad(message) };
    const record = this.#require();
    await this.#store({ ...record, state: nextState, outgoing: [...record.outgoing, outgoing] });
    await this.#transmit(outgoing);
    return messageId;
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
      await sleep(Math.random() * 40 * attempt, this.#context.signal);
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
    const { call } = pending;
    try {
      await this.#context.api.call(call.name, call.request as never, { signal: this.#context.signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 429 || error.status >= 500) throw error;
      if (isEntry(call)) await this.#forget();
      else await this.#store({ ...this.#require(), pending: undefined });
      if (isEntry(call) || !isApiError(error, 'EpochMismatch')) throw error;
      await this.#processNew();
      return false;
    }
    await (isEntry(call) ? this.#store({ ...this.#require(), pending: undefined }) : this.#processNew());
    return true;
  }

  /** Sends a commit again whose result a crash or a lost connection has hidden; the same bytes get the first response. */
  async #resumePending(): Promise<void> {
    if (this.#record?.pending === undefined) return;
    try {
      await this.#sendPending();
    } catch (error) {
      // The change is not possible any more; the caller of the original operation is gone.
      if (!(error instanceof ApiError) || error.status === 429 || error.status >= 500) throw error;
    }
  }

  async #encrypt(content: Uint8Array): Promise<{ message: Uint8Array; nextState: Uint8Array; epoch: number }> {
    const { state } = this.#require();
    const { epoch } = this.#context.engine.describe(state);
    return { ...(await this.#context.engine.encrypt(state, content)), epoch };
  }

  /** Sends a stored message; if the epoch is over, encrypts it again in the present one. */
  async #transmit(stored: OutgoingMessage): Promise<void> {
    const { api, signal } = this.#context;
    let outgoing = stored;
    for (let attempt = 1; ; attempt += 1) {
      const { messageId: msgId, ciphertext, epoch } = outgoing;
      try {
        const { convoId } = this;
        await api.call('sendMessage', { convoId, msgId, ciphertext, epoch, paddedSize: ciphertext.length }, { signal });
        return;
      } catch (error) {
        if (!isApiError(error, 'EpochMismatch') || attempt >= attemptsMax) throw error;
        await this.#processNew();
        // It may have been stored by an attempt whose response was lost.
        if (!this.#require().outgoing.some(({ messageId }) => messageId === msgId)) return;
        outgoing = await this.#encryptAgain(outgoing);
      }
    }
  }

  async #encryptAgain(outgoing: OutgoingMessage): Promise<OutgoingMessage> {
    const { message, nextState, epoch } = await this.#encrypt(outgoing.content);
    const again = { ...outgoing, epoch, ciphertext: pad(message) };
    const record = this.#require();
    const others = record.outgoing.map((each) => (each.messageId === again.messageId ? again : each));
    await this.#store({ ...record, state: nextState, outgoing: others });
    return again;
  }

  async #processNew(): Promise<void> {
    const { api, signal } = this.#context;
    const lastSeq = this.#record?.lastSeq;
    if (lastSeq === undefined) return;
    for await (const message of messagesAfter(api, this.convoId, lastSeq, { signal })) {
      if (this.#record === undefined) return;
      if (message.seq > this.#record.lastSeq) await this.#process(message);
    }
  }

  /** Stores what the message changes, then emits it. */
  async #process(message: MessageView): Promise<void> {
    const record = this.#require();
    const { seq } = message;
    const own = record.outgoing.find(({ messageId }) => messageId === message.id);
    if (own !== undefined) {
      const outgoing = record.outgoing.filter((each) => each !== own);
      return this.#deliver(message, { ...record, lastSeq: seq, outgoing }, own.content, this.#context.identity.did);
    }
    if (record.joinedBy !== undefined) return this.#skipToJoin(message, record.joinedBy);
    const { epoch } = this.#context.engine.describe(record.state);
    if (message.messageType === 'commit') return this.#processCommit(message, epoch);
    if (message.epoch > epoch) throw new LostGroupError(this.convoId);
    const processed = await this.#decrypt(message);
    if (processed === undefined || processed.kind === 'commit') {
      await this.#store({ ...record, lastSeq: seq });
      await this.#emitUnreadable(seq);
    } else if (processed.kind === 'proposal') {
      await this.#store({ ...record, lastSeq: seq, state: processed.nextState });
    } else {
      const next = { ...record, lastSeq: seq, state: processed.nextState };
      await this.#deliver(message, next, processed.content, processed.senderDid);
    }
  }

  /** Messages up to the own external commit were encrypted before this device joined. */
  async #skipToJoin({ seq, digest, messageType }: MessageView, joinedBy: JoinRecord): Promise<void> {
    const isJoin = areEqual(digest, joinedBy.digest);
    await this.#store({ ...this.#require(), lastSeq: seq, ...(isJoin ? { joinedBy: undefined } : {}) });
    if (joinedBy.isRejoin && messageType === 'app') await this.#emitUnreadable(seq);
  }

  #emitUnreadable(seq: number): Promise<void> {
    return this.#context.emit({ kind: 'unreadable', convoId: this.convoId, seq });
  }

  /** Applies the commit of another member, or adopts the own one that has won its epoch. */
  async #processCommit(message: MessageView, epoch: number): Promise<void> {
    const record = this.#require();
    const { seq } = message;
    // The Welcome or the external commit has brought this device to that epoch already.
    if (message.epoch <= epoch) return this.#store({ ...record, lastSeq: seq });
    if (record.pending !== undefined && areEqual(message.digest, record.pending.digest)) {
      await this.#store({ ...record, lastSeq: seq, state: record.pending.nextState, pending: undefined });
      return this.#emitEpoch();
    }
    const processed = message.epoch === epoch + 1 ? await this.#decrypt(message) : undefined;
    if (processed?.kind !== 'commit') throw new LostGroupError(this.convoId);
    if (processed.isRemoved) return this.exit();
    await this.#store({ ...record, lastSeq: seq, state: processed.nextState, pending: undefined });
    return this.#emitEpoch();
  }

  /** Undefined when the message is not valid in this state. */
  async #decrypt({ ciphertext }: MessageView): Promise<ProcessedMessage | undefined> {
    try {
      return await this.#context.engine.process(this.#require().state, unpad(ciphertext));
    } catch {
      return undefined;
    }
  }

  /** Stores state and content in one write; the content stays stored until the app has processed it. */
  async #deliver(message: MessageView, next: GroupRecord, content: Uint8Array, senderDid: string): Promise<void> {
    const { id: messageId, seq, createdAt: receivedAt } = message;
    const inboxKey = keys.inbox(this.convoId, seq);
    const inbox: InboxRecord = { messageId, senderDid, content, receivedAt };
    await this.#store(next, [change(inboxKey, inbox)]);
    await this.#context.emit({ kind: 'message', convoId: this.convoId, seq, ...inbox });
    await this.#context.storage.write([change(inboxKey, undefined)]);
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
