import { eventKinds } from '#domain/events/event.ts';
import type { EventRow, LogPosition } from '#domain/events/event.ts';
import { messageKinds } from '#domain/messages/message.ts';
import type { StoredMessage } from '#domain/messages/store-messages.ts';
import type { MessageRow } from '#domain/messages/message-row.ts';

/** The event of a message that this server stored. The message is undefined if nobody here listened to it. */
export interface StoredEvent {
  readonly row: EventRow;
  readonly message: MessageRow | undefined;
}

const sizeBytesMax = 4_194_304;
const eventsMax = 4_096;

/**
 * The messages that this server stored and has not delivered yet. They are events that need not be read from the log.
 *
 * Why `following` may return events that no read of the log has shown to be final: a position is an integer from a
 * sequence without a cache, and belongs to one transaction (docs/decisions/0021). A statement that stores messages is a
 * transaction with one position, and its result has all of its events and arrives after its commit. So if all events up
 * to position p were delivered and a result has position p + 1, no event is missing before it and none can be added. If
 * the result has a later position, a position between them belongs to another transaction, which may be open, may have
 * written other events, or was rolled back; then only a read of the log decides.
 */
export class StoredMessages {
  /** The events by position. All events of a position are there, in log order. */
  readonly #byPosition = new Map<number, readonly StoredEvent[]>();
  #sizeBytes = 0;
  #count = 0;

  get isEmpty(): boolean {
    return this.#byPosition.size === 0;
  }

  /**
   * Adds all events of one position.
   * @returns false if they would be too many or too large. Then all are dropped, and must be read from the log.
   */
  add(messages: readonly StoredMessage[], hasListeners: (groupId: Buffer) => boolean): boolean {
    const [first] = messages;
    if (first === undefined) return true;
    const events = messages.map((message) => storedEvent(message, hasListeners(message.groupId)));
    events.sort((a, b) => Buffer.compare(a.row.groupId, b.row.groupId) || a.row.eventNo - b.row.eventNo);
    this.#count += events.length;
    this.#sizeBytes += sizeOf(events);
    this.#byPosition.set(first.position, events);
    if (this.#count <= eventsMax && this.#sizeBytes <= sizeBytesMax) return true;
    this.clear();
    return false;
  }

  /** Returns the events at the positions that follow `position` without a gap, in log order. Does not remove them. */
  following(position: number): StoredEvent[] {
    const following: StoredEvent[] = [];
    for (let next = position + 1; ; next++) {
      const events = this.#byPosition.get(next);
      if (events === undefined) return following;
      following.push(...events);
    }
  }

  /** Returns the message of an event, if this server stored it and has it still. */
  find({ position, groupId, eventNo }: LogPosition): MessageRow | undefined {
    const events = this.#byPosition.get(position);
    return events?.find(({ row }) => row.eventNo === eventNo && row.groupId.equals(groupId))?.message;
  }

  /** Removes the events at all positions up to `position`, because they were delivered. */
  dropUpTo(position: number): void {
    for (const [at, events] of this.#byPosition) {
      if (at > position) continue;
      this.#byPosition.delete(at);
      this.#count -= events.length;
      this.#sizeBytes -= sizeOf(events);
    }
  }

  clear(): void {
    this.#byPosition.clear();
    this.#count = 0;
    this.#sizeBytes = 0;
  }
}

function storedEvent(stored: StoredMessage, isWanted: boolean): StoredEvent {
  const { position, groupId, eventNo, receivedAt, seq, epoch, msgId, body } = stored;
  const row = { position, groupId, eventNo, receivedAt, kind: eventKinds.message, seq, epoch: null, sealedDid: null };
  const message = { groupId, seq, epoch, kind: messageKinds.app, msgId, receivedAt, body };
  return { row, message: isWanted ? message : undefined };
}

function sizeOf(events: readonly StoredEvent[]): number {
  return events.reduce((sum, { message }) => sum + (message?.body.length ?? 0), 0);
}
