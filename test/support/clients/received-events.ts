import type { StreamEvent } from '#client/api/methods.ts';
import { isEvent, isOpening } from '#client/stream/stream-event.ts';
import type { EventOf } from '#client/stream/stream-event.ts';
import { main as lexicon } from '#xrpc/lexicon/blue/catbird/mls/subscribeConvoEvents.defs.ts';

type EventName = Parameters<typeof isEvent>[1];

/** The events that one connection has received so far; each is checked against the lexicon. */
export class ReceivedEvents {
  /** Without the one that opens the stream. */
  readonly events: StreamEvent[] = [];
  readonly #opening = Promise.withResolvers<string>();
  #cursor: string | undefined;
  #position = 0;
  #end: { readonly reason: unknown } | undefined;
  #violation: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  /** @param cursor the one that the stream was opened with. */
  constructor(cursor: string | undefined) {
    this.#cursor = cursor;
  }

  /** Resolves with the cursor of the opening event. Servers of previous releases send none. */
  get opened(): Promise<string> {
    return this.#opening.promise;
  }

  /** The cursor of the last event; before the first one, the cursor that the stream was opened with. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  take(event: StreamEvent): void {
    try {
      lexicon.message.parse(event);
      this.#cursor = event.cursor;
      if (!isOpening(event)) this.events.push(event);
      else if (this.events.length === 0) this.#opening.resolve(event.cursor);
      else throw new TypeError('a frame before the one that opens the stream');
    } catch (error) {
      this.fail(error);
    }
    this.#wake();
  }

  /** Makes every later `next` throw, because the server does not follow the contract. */
  fail(error: unknown): void {
    this.#violation ??= { error };
    this.#wake();
  }

  /** Makes `next` throw when no event is left. */
  end(reason: unknown): void {
    this.#end ??= { reason };
    this.#wake();
  }

  /** Returns the next event of a kind for which `fits` is true, after the last returned one. @throws Error after `timeoutMs`. */
  async next<Name extends EventName>(
    kind: Name,
    fits: (event: EventOf<Name>) => boolean = () => true,
    timeoutMs = 10_000,
  ): Promise<EventOf<Name>> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      if (this.#violation !== undefined) throw this.#violation.error;
      while (this.#position < this.events.length) {
        const event = this.events[this.#position++];
        if (event !== undefined && isEvent(event, kind) && fits(event)) return event;
      }
      if (this.#end !== undefined)
        throw new Error(`the stream ended before a ${kind} came`, { cause: this.#end.reason });
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`no ${kind} came within ${timeoutMs} ms`);
      await this.#change(leftMs);
    }
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      const earlier = this.#wake;
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        earlier();
        resolve();
      };
    });
  }
}
