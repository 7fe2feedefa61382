import { entriesOf } from '../api/pages.ts';
import type { GroupDescription } from '../mls/mls-engine.ts';
import type { Context } from './context.ts';
import { isNotMember, LostGroupError } from './conversation-error.ts';
import { Conversation } from './conversation.ts';
import { join } from './join.ts';
import { readConvoIds } from './records.ts';
import { isRetryable } from './retrier.ts';
import type { Retrier } from './retrier.ts';

export interface ConversationSetDeps {
  readonly context: Context;
  readonly retrier: Retrier;
  /** Called for errors of conversations for which no caller waits. */
  readonly onError: (error: unknown) => void;
}

/** A person who is not a member any more, and whose leaves are still in the group. */
export interface NeededRemoval {
  readonly convoId: string;
  readonly did: string;
}

/** All conversations of this device. Joins those that have no usable keys here, and repeats later what the network has prevented. */
export class ConversationSet {
  readonly #deps: ConversationSetDeps;
  readonly #opened = new Map<string, Conversation>();

  constructor(deps: ConversationSetDeps) {
    this.#deps = deps;
  }

  /** Those that were opened so far; after `load` all that are stored. */
  get opened(): Conversation[] {
    return [...this.#opened.values()];
  }

  /** The group of a conversation that was opened; undefined when this device is not in it. */
  groupOf(convoId: string): GroupDescription | undefined {
    return this.#opened.get(convoId)?.group;
  }

  async load(): Promise<void> {
    for (const convoId of await readConvoIds(this.#deps.context.storage)) await this.#open(convoId);
  }

  async #open(convoId: string): Promise<Conversation> {
    const known = this.#opened.get(convoId);
    if (known !== undefined) return known;
    const opened = await Conversation.open(this.#deps.context, convoId);
    // Another call may have opened the same conversation in the meantime.
    const first = this.#opened.get(convoId) ?? opened;
    this.#opened.set(convoId, first);
    return first;
  }

  /**
   * Runs `task` in order with the conversation's other operations; a group whose state is lost is joined anew. What the network or a member
   * has prevented is done later in the background.
   */
  async inOrder<Result>(
    convoId: string,
    task: (of: Conversation) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const found = await this.#open(convoId);
    try {
      return await found.run(() => this.#joiningAnew(found, task), signal);
    } catch (error) {
      const isAborted = signal?.aborted === true && !this.#deps.context.signal.aborted;
      if (isAborted || isRetryable(error)) this.catchUpLater(convoId);
      throw error;
    }
  }

  async #joiningAnew<Result>(found: Conversation, task: (of: Conversation) => Promise<Result>): Promise<Result> {
    try {
      return await task(found);
    } catch (error) {
      if (!(error instanceof LostGroupError)) throw error;
    }
    try {
      await join(this.#deps.context, found);
    } catch (error) {
      if (isNotMember(error)) await found.exit();
      throw error;
    }
    return task(found);
  }

  /** Brings the conversation up to date in the background, as soon as that is possible. */
  catchUpLater(convoId: string): void {
    this.#deps.retrier.start(convoId, () => this.inOrder(convoId, (found) => this.bringUpToDate(found)));
  }

  /**
   * Brings every conversation up to date, and joins those that have no keys here.
   * @param which `changed`: only those in which membership or epoch differ from the service's list. A stream that was interrupted does not
   *   report the removal of its own reader.
   * @returns removals that a member has to commit. @throws ApiError, NoResponseError when the list of conversations cannot be read.
   */
  async catchUpAll(which: 'all' | 'changed'): Promise<NeededRemoval[]> {
    const { api, signal } = this.#deps.context;
    const removals: NeededRemoval[] = [];
    const epochs = new Map<string, number>();
    for await (const convo of entriesOf(api, 'getConvos', { limit: 100 }, { signal })) {
      epochs.set(convo.groupId, convo.epoch);
      removals.push(...(convo.needsRemovalCommit ?? []).map((did) => ({ convoId: convo.groupId, did })));
    }
    const stored = this.opened.filter(({ record }) => record !== undefined).map(({ convoId }) => convoId);
    for (const convoId of new Set([...stored, ...epochs.keys()])) {
      const epoch = epochs.get(convoId);
      const isUnchanged = epoch !== undefined && this.groupOf(convoId)?.epoch === epoch;
      if (which === 'changed' && isUnchanged) continue;
      if (await this.#isRefused(convoId, epoch !== undefined)) continue;
      await this.inOrder(convoId, (found) => this.bringUpToDate(found)).catch(this.#deps.onError);
    }
    return removals;
  }

  /** Tells the app again of a commit that this device has refused; deletes the group's keys when the person is not a member any more. */
  async #isRefused(convoId: string, isMember: boolean): Promise<boolean> {
    const found = await this.#open(convoId);
    if (found.record?.refused === undefined) return false;
    if (isMember) await found.tellRefusedBefore();
    else await found.run(() => found.exit());
    return true;
  }

  /** Joins if this device is not in the group; else processes what is new and sends what was not sent. */
  async bringUpToDate(conversation: Conversation): Promise<void> {
    try {
      if (conversation.record === undefined) await join(this.#deps.context, conversation);
      else await conversation.catchUp();
    } catch (error) {
      if (!isNotMember(error)) throw error;
      await conversation.exit();
    }
  }
}
