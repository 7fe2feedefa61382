import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamEvent } from '#client/api/methods.ts';
import { readFrame } from '#client/stream/frame.ts';
import type { CarelessCalls } from './careless-calls.ts';

/** Follows the live events over as many WebSockets as it takes, correctly except for the carelessness of `calls`. */
export class CarelessStream {
  readonly #calls: CarelessCalls;
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #onReconnection: () => Promise<void>;
  #cursor: string | undefined;
  #firstCursor: string | undefined;
  #ticket: string | undefined;

  constructor(
    calls: CarelessCalls,
    onEvent: (event: StreamEvent) => void,
    /** Called before a connection without a cursor. */
    onReconnection: () => Promise<void>,
  ) {
    this.#calls = calls;
    this.#onEvent = onEvent;
    this.#onReconnection = onReconnection;
  }

  async follow(): Promise<void> {
    const { carelessness, signal } = this.#calls;
    let failures = 0;
    while (!signal.aborted) {
      const isOpened = await this.#connect().catch(() => false);
      failures = isOpened ? 0 : failures + 1;
      await sleep(carelessness === 'reconnects-without-a-wait' ? 10 : 100 * 2 ** Math.min(failures, 4));
    }
  }

  /** @returns whether the socket was open, when it has closed. */
  async #connect(): Promise<boolean> {
    const { identity, signal } = this.#calls;
    const search = new URLSearchParams({ ticket: await this.#newTicket() });
    const cursor = this.#startCursor();
    if (cursor !== undefined) search.set('cursor', cursor);
    const url = `${identity.serviceUrl.replace(/^http/, 'ws')}/xrpc/blue.catbird.mls.subscribeConvoEvents?${search.toString()}`;
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const closed = new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()));
    const onAbort = (): void => socket.close();
    signal.addEventListener('abort', onAbort);
    let isOpened = false;
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
      if (!(data instanceof ArrayBuffer)) return;
      const frame = readFrame(new Uint8Array(data));
      if (!('$type' in frame)) return;
      isOpened = true;
      this.#cursor = frame.cursor;
      this.#firstCursor ??= frame.cursor;
      this.#onEvent(frame);
    });
    socket.addEventListener('open', () => {
      if (this.#calls.carelessness === 'forgets-the-cursor') this.#onReconnection().catch(() => undefined);
    });
    await closed;
    signal.removeEventListener('abort', onAbort);
    return isOpened;
  }

  #startCursor(): string | undefined {
    const { carelessness } = this.#calls;
    if (carelessness === 'forgets-the-cursor') return undefined;
    return carelessness === 'keeps-the-first-cursor' ? this.#firstCursor : this.#cursor;
  }

  async #newTicket(): Promise<string> {
    const used = this.#ticket;
    if (this.#calls.carelessness === 'uses-a-ticket-twice' && used !== undefined) {
      this.#ticket = undefined;
      return used;
    }
    const { body } = await this.#calls.post('getSubscriptionTicket', {});
    this.#ticket = String(body['ticket']);
    return this.#ticket;
  }
}
