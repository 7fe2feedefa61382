import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Sql } from '../connection/database.ts';
import { createLocalNotifier } from './notifier.ts';
import type { Notifier } from './notifier.ts';
import { OtherServers } from './other-servers.ts';

const channel = 'nightjar';
const notifyIntervalMs = 5;
/** This many bytes in base64 and the header fit into a NOTIFY payload, which must be shorter than 8,000 bytes. */
const chunkSizeBytes = 5_400;
/** The maximum number of payloads of which some chunks are missing. The oldest is dropped when there are more. */
const assembliesMax = 256;
/** Milliseconds between two announcements of a server that has nothing to report. */
const announceIntervalMs = 60_000;
/** Milliseconds after which a server that has sent nothing counts as stopped. */
const forgetAfterMs = 3.5 * announceIntervalMs;

export interface PostgresNotifierDeps {
  /** Must not go through PgBouncer, which drops LISTEN. */
  readonly direct: Sql;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

/**
 * Creates the notifier of a server on a database that other servers may use. NOTIFY is sent after the write transaction
 * and once for several writes, because NOTIFY inside the transaction cost 16 to 57 % of the write throughput.
 *
 * A server that has heard of no other server sends only announcements, because every NOTIFY is a transaction. A server
 * announces itself when it starts to listen, also after an interruption, and each other server answers the announcement
 * of a server that is new to it. So two servers that both listen know each other after one exchange.
 */
export async function createPostgresNotifier(deps: PostgresNotifierDeps): Promise<Notifier> {
  const notifier = new PostgresNotifier(deps);
  await notifier.listen();
  return notifier;
}

class PostgresNotifier implements Notifier {
  readonly #deps: PostgresNotifierDeps;
  readonly #local = createLocalNotifier();
  readonly #origin = newSecret(6).toString('base64url');
  readonly #others: OtherServers;
  readonly #assemble = payloadAssembler((payload) => this.#local.broadcast(payload));
  readonly #stopping = new AbortController();
  #unlisten: () => Promise<void> = async () => undefined;
  #lastNotifiedMs = -Infinity;
  #isNotifying = false;
  #broadcastCount = 0;

  constructor(deps: PostgresNotifierDeps) {
    this.#deps = deps;
    this.#others = new OtherServers({ clock: deps.clock, forgetAfterMs });
  }

  async listen(): Promise<void> {
    const onListen = (): void => {
      this.#local.notify();
      this.#announce();
    };
    const listening = await this.#deps.direct.listen(channel, (message) => this.#receive(message), onListen);
    this.#unlisten = () => listening.unlisten();
    this.#announceUntilClosed().catch(this.#deps.onError);
  }

  notify(): void {
    this.#local.notify();
    this.notifyOthers();
  }

  notifyOthers(): void {
    if (this.#others.exist()) this.#announce();
  }

  broadcast(payload: Buffer): void {
    this.#local.broadcast(payload);
    if (!this.#others.exist()) return;
    const id = this.#broadcastCount++;
    const count = Math.ceil(payload.length / chunkSizeBytes);
    for (let index = 0; index < count; index++) {
      const chunk = payload.subarray(index * chunkSizeBytes, (index + 1) * chunkSizeBytes).toString('base64');
      this.#send(`${this.#origin} ${id} ${index} ${count} ${chunk}`).catch(this.#deps.onError);
    }
  }

  onNotify(listener: () => void): void {
    this.#local.onNotify(listener);
  }

  onBroadcast(listener: (payload: Buffer) => void): void {
    this.#local.onBroadcast(listener);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#unlisten();
  }

  #receive(message: string): void {
    const [from = '', id, index, count, chunk] = message.split(' ');
    if (from === this.#origin) return;
    if (this.#others.note(from) === 'new') this.#announce();
    if (id === undefined || chunk === undefined) this.#local.notify();
    else this.#assemble(`${from} ${id}`, { index: Number(index), count: Number(count), chunk });
  }

  /** Sends a notification now, or once at the end of the present interval. An announcement is the same message. */
  #announce(): void {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    this.#sendWhenDue().catch(this.#deps.onError);
  }

  async #sendWhenDue(): Promise<void> {
    const { clock } = this.#deps;
    const waitMs = this.#lastNotifiedMs + notifyIntervalMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs);
    this.#isNotifying = false;
    this.#lastNotifiedMs = clock.monotonicMs();
    await this.#send(this.#origin);
  }

  /** Sends to all servers. Nothing of it must survive a crash, so its commit does not wait for the disk. */
  async #send(message: string): Promise<void> {
    await this.#deps.direct`SELECT set_config('synchronous_commit', 'off', true), pg_notify(${channel}, ${message})`;
  }

  async #announceUntilClosed(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#deps.clock.sleep(announceIntervalMs, this.#stopping.signal);
      if (!this.#stopping.signal.aborted) this.#announce();
    }
  }
}

interface Chunk {
  readonly index: number;
  readonly count: number;
  readonly chunk: string;
}

/** Returns a function that takes the chunks of payloads and passes each complete payload to `onPayload`. */
function payloadAssembler(onPayload: (payload: Buffer) => void): (key: string, part: Chunk) => void {
  const assemblies = new Map<string, string[]>();
  return (key, { index, count, chunk }) => {
    const chunks = assemblies.get(key) ?? [];
    chunks[index] = chunk;
    if (chunks.filter((part) => part !== undefined).length < count) {
      assemblies.set(key, chunks);
      const [oldest] = assemblies.keys();
      if (assemblies.size > assembliesMax && oldest !== undefined) assemblies.delete(oldest);
      return;
    }
    assemblies.delete(key);
    onPayload(Buffer.from(chunks.join(''), 'base64'));
  };
}
