import type { StreamEvent } from '#client/api/methods.ts';
import type { CheckedClient } from '../checked-client.ts';
import type { FaultyConnection } from '../faults.ts';
import type { StreamRecord } from '../record.ts';

/** The client's side of a stream. */
export interface StreamOutput {
  /** Sends an event; `cursor` replaces its own. */
  send(event: StreamEvent, cursor: string): void;
  cut(): void;
  /** `cursor` is that of the last event. */
  endAsTooSlow(cursor: string): void;
}

/** Passes events from the service to the client, with the faults that are planned for it. */
export class StreamRelay implements FaultyConnection {
  readonly #client: CheckedClient;
  readonly #record: StreamRecord;
  readonly #output: StreamOutput;
  #held: StreamEvent[] = [];
  /** Cursor from which a client that reconnects misses nothing, while events are held. */
  #safeCursor: string | undefined;
  #lastCursor: string | undefined;

  constructor(client: CheckedClient, record: StreamRecord, output: StreamOutput) {
    this.#client = client;
    this.#record = record;
    this.#output = output;
    this.#lastCursor = record.cursor;
    client.faults.connect(this);
  }

  receive(event: StreamEvent): void {
    const { streams } = this.#client.faults;
    const previous = this.#lastCursor;
    this.#lastCursor = event.cursor;
    if (previous !== undefined && streams.holds(event)) {
      this.#safeCursor ??= previous;
      this.#held.push(event);
      return;
    }
    this.#send(event, this.#safeCursor ?? event.cursor);
    if (streams.isRepeating) this.#send(event, this.#safeCursor ?? event.cursor);
  }

  release(): void {
    const events = this.#held.splice(0);
    const [safe, last] = [this.#safeCursor, this.#lastCursor];
    this.#safeCursor = undefined;
    events.forEach((event, index) => {
      const isLast = index === events.length - 1;
      this.#send(event, (isLast ? last : safe) ?? event.cursor);
    });
  }

  cut(): void {
    this.end();
    this.#output.cut();
  }

  endAsTooSlow(): void {
    this.end();
    this.#output.endAsTooSlow(this.#lastCursor ?? '');
  }

  /** The connection has ended, or is about to. */
  end(): void {
    this.#held = [];
    this.#record.endedMs ??= performance.now();
    this.#client.faults.disconnect(this);
  }

  #send(event: StreamEvent, cursor: string): void {
    if (this.#record.endedMs !== undefined) return;
    this.#client.record.deliveries.push({ cursor, atMs: performance.now(), event });
    this.#output.send(event, cursor);
  }
}
