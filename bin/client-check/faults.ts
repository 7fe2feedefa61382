import type { StreamEvent } from '#client/api/methods.ts';
import { callKey } from './record.ts';
import type { CallRecord } from './record.ts';

/** What the check does with one call. */
export type CallFault =
  /** The service does not get the call. */
  | { readonly kind: 'respond'; readonly status: number; readonly error: string; readonly retryAfterSeconds?: number }
  /** The connection is cut before the service gets the call. */
  | { readonly kind: 'cut' }
  /** The service executes the call, and the connection is cut instead of a response. */
  | { readonly kind: 'lose-response' }
  /** The service gets the call when the promise resolves. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> }
  /** The service gets the call at once, and the client the response when the promise resolves. */
  | { readonly kind: 'hold-response'; readonly until: Promise<unknown> }
  /** The service gets a smaller `limit`. */
  | { readonly kind: 'limit'; readonly limit: number };

interface PlannedFault {
  readonly method: string;
  readonly fault: CallFault;
  /** Undefined: every call until the fault is ended. */
  readonly onHit: ((call: CallRecord) => void) | undefined;
}

/** What the check does with the events of a client's streams. */
export interface StreamFaults {
  /** New connections are refused with 503. */
  isRefusing: boolean;
  /** A cursor of another service, which new connections get instead of their own. */
  foreignCursor: string | undefined;
  /** Events are sent twice. */
  isRepeating: boolean;
  /** Events that wait until this is changed; other events overtake them. */
  holds: (event: StreamEvent) => boolean;
}

/** The faults that one client meets. */
export class Faults {
  readonly streams: StreamFaults = {
    isRefusing: false,
    foreignCursor: undefined,
    isRepeating: false,
    holds: () => false,
  };
  #planned: PlannedFault[] = [];
  readonly #connections = new Set<FaultyConnection>();

  /** Plans a fault for the next call of `method`. @returns when it has happened, the call. */
  next(method: string, fault: CallFault): Promise<CallRecord> {
    return new Promise((resolve) => this.#planned.push({ method, fault, onHit: resolve }));
  }

  /** Plans a fault for all calls of `method`. @returns a function that ends it. */
  always(method: string, fault: CallFault): () => void {
    const planned = { method, fault, onHit: undefined };
    this.#planned.push(planned);
    return () => void (this.#planned = this.#planned.filter((each) => each !== planned));
  }

  /** Methods that the client did not call although a fault was planned for the next call. */
  unmet(): string[] {
    return this.#planned.filter(({ onHit }) => onHit !== undefined).map(({ method }) => method);
  }

  /** The fault for `call`, if one is planned. */
  take(call: CallRecord): CallFault | undefined {
    const found = this.#planned.find(({ method }) => method === call.method || method === callKey(call));
    if (found?.onHit !== undefined) {
      this.#planned = this.#planned.filter((each) => each !== found);
      found.onHit(call);
    }
    return found?.fault;
  }

  connect(connection: FaultyConnection): void {
    this.#connections.add(connection);
  }

  disconnect(connection: FaultyConnection): void {
    this.#connections.delete(connection);
  }

  /** Cuts all open streams. */
  cutStreams(): void {
    for (const connection of this.#connections) connection.cut();
  }

  /** Ends all open streams as the service does when a client reads too slowly. */
  endStreamsAsTooSlow(): void {
    for (const connection of this.#connections) connection.endAsTooSlow();
  }

  /** Sends the events that were held, and holds no more. */
  releaseEvents(): void {
    this.streams.holds = () => false;
    for (const connection of this.#connections) connection.release();
  }

  /** Ends all faults. */
  clear(): void {
    this.#planned = [];
    this.streams.isRefusing = false;
    this.streams.foreignCursor = undefined;
    this.streams.isRepeating = false;
    this.releaseEvents();
  }
}

/** An open stream of the client. */
export interface FaultyConnection {
  cut(): void;
  endAsTooSlow(): void;
  /** Sends the events that were held. */
  release(): void;
}
