import type { LogPosition } from '#domain/events/event.ts';
import { readTail } from '#domain/events/read-events.ts';
import type { StoredMessage } from '#domain/messages/store-messages.ts';
import type { Clock } from '#platform/clock.ts';
import type { Subscription } from '../hub.ts';
import { dispatchEvents } from './dispatch-events.ts';
import type { DispatchDeps } from './dispatch-events.ts';
import { ReadSchedule } from './read-schedule.ts';
import { StoredMessages } from './stored-messages.ts';

/** Follows the event log once for all subscribers of this server. It runs no statement while there are none. */
export interface Tail {
  /** Makes the tail read the log now, because an event was written. */
  wake(): void;
  /** Passes all messages that one statement of this server stored, so that the tail need not read them. */
  noteStored(messages: readonly StoredMessage[]): void;
  /**
   * Attaches the subscription between two batches.
   * @returns the position after which the subscription gets every event.
   */
  attach(subscription: Subscription): Promise<LogPosition>;
  stop(): Promise<void>;
}

export interface TailDeps extends DispatchDeps {
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

const batchRowsMax = 1_000;
const errorPauseMs = 250;
const noSubscribersPauseMs = 3_600_000;

interface PendingAttach {
  readonly subscription: Subscription;
  readonly resolve: (position: LogPosition) => void;
}

/** Starts a tail, which follows the log from the position of the hub while the hub has subscriptions. */
export function startTail(deps: TailDeps): Tail {
  return new LogTail(deps);
}

class LogTail implements Tail {
  readonly #deps: TailDeps;
  readonly #stored = new StoredMessages();
  readonly #schedule: ReadSchedule;
  readonly #running: Promise<void>;
  #isStopping = false;
  #endRest = (): void => undefined;
  #pending: PendingAttach[] = [];
  /** The hub's position, if a read ended there and there may be more events at the same log position. */
  #unfinished: LogPosition | undefined;

  constructor(deps: TailDeps) {
    this.#deps = deps;
    this.#schedule = new ReadSchedule(deps.clock);
    this.#running = this.#run();
  }

  wake(): void {
    this.#schedule.readNow();
    if (this.#deps.hub.size > 0) this.#endRest();
  }

  noteStored(messages: readonly StoredMessage[]): void {
    const { hub } = this.#deps;
    const isKept = hub.size > 0 && this.#stored.add(messages, (groupId) => hub.hasListeners(groupId));
    if (!isKept) this.#schedule.readNow();
    if (hub.size > 0) this.#endRest();
  }

  attach(subscription: Subscription): Promise<LogPosition> {
    return new Promise((resolve) => {
      this.#pending.push({ subscription, resolve });
      this.#endRest();
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#endRest();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        if (this.#deps.hub.size > 0) await this.#step();
        else {
          this.#stored.clear();
          await this.#rest(noSubscribersPauseMs);
        }
      } catch (error) {
        this.#deps.onError(error);
        this.#schedule.readNow();
        await this.#rest(errorPauseMs);
      }
    }
  }

  async #rest(longestMs: number): Promise<void> {
    const waking = new AbortController();
    // With a reason, because abort makes a DOMException with a stack otherwise (20 µs for each batch).
    this.#endRest = () => waking.abort('woken');
    await this.#deps.clock.sleep(longestMs, waking.signal);
    this.#endRest = () => undefined;
  }

  /** Delivers what follows the hub's position, or reads the log if it is time, or rests. */
  async #step(): Promise<void> {
    const { hub } = this.#deps;
    this.#attachPending();
    const seen = seenOf(hub.position);
    const isUnfinished = this.#unfinished === hub.position;
    this.#stored.dropUpTo(isUnfinished ? seen - 1 : seen);
    const following = isUnfinished ? [] : this.#stored.following(seen);
    if (following.length > 0) {
      const messages = new Map(following.map(({ row, message }) => [row, message]));
      await dispatchEvents(this.#deps, [...messages.keys()], (row) => messages.get(row));
      return;
    }
    const waitMs = this.#schedule.waitMs({ seen, hasGap: !this.#stored.isEmpty });
    if (waitMs > 0) await this.#rest(waitMs);
    else await this.#readLog();
  }

  /** Runs between two batches, so that a subscription gets exactly the events after `hub.position`. */
  #attachPending(): void {
    const { hub } = this.#deps;
    for (const { subscription, resolve } of this.#pending) {
      hub.attach(subscription);
      resolve(hub.position);
    }
    this.#pending = [];
  }

  async #readLog(): Promise<void> {
    const { hub, database } = this.#deps;
    const gaps = this.#schedule.startRead();
    const page = await readTail(database, hub.position, { limit: batchRowsMax, gaps });
    const { events: rows } = page;
    const isOpened = rows.length === 0 || (await dispatchEvents(this.#deps, rows, (row) => this.#stored.find(row)));
    const isFull = rows.length === batchRowsMax || !isOpened;
    this.#unfinished = isFull ? hub.position : undefined;
    this.#schedule.endRead({ ...page, isFull, seen: seenOf(hub.position) });
  }
}

/** Returns the last log position with an event up to `position`. */
function seenOf({ position, groupId }: LogPosition): number {
  return groupId.length === 0 ? position - 1 : position;
}
