import type { Clock } from '#platform/clock.ts';
import { newSecret } from '#platform/ids.ts';
import type { Sql } from '../connection/database.ts';

/**
 * Wakes readers of the event log on this and other servers, and transports what is never stored (ephemeral frames). A
 * lost notification costs latency, never data, because readers also poll.
 */
export interface Notifier {
  /** Reports that the event log has grown. Notifications within a few milliseconds are sent as one. */
  notify(): void;
  /** Sends `payload` to every listener on every server; a server that is not connected misses it. */
  broadcast(payload: Buffer): void;
  onNotify(listener: () => void): void;
  onBroadcast(listener: (payload: Buffer) => void): void;
  close(): Promise<void>;
}

const channel = 'nightjar';
const notifyIntervalMs = 5;
/** A NOTIFY payload is below 8,000 bytes: base64 of this many bytes and the header fit. */
const chunkSizeBytes = 5_400;
/** The maximum number of partly received broadcastListeners; the oldest is dropped. */
const assembliesMax = 256;

/** The notifier of the only server of a database. */
export function createLocalNotifier(): Notifier {
  const listeners: (() => void)[] = [];
  const broadcastListeners: ((payload: Buffer) => void)[] = [];
  return {
    notify: () => listeners.forEach((listener) => listener()),
    broadcast: (payload) => broadcastListeners.forEach((listener) => listener(payload)),
    onNotify: (listener) => void listeners.push(listener),
    onBroadcast: (listener) => void broadcastListeners.push(listener),
    close: async () => {},
  };
}

/**
 * The notifier of several servers on one database. NOTIFY is sent outside the write transaction, where it would cost 16
 * to 57 % of the writes, and one NOTIFY covers several writes. `direct` must not use PgBouncer, which drops LISTEN.
 */
export async function createPostgresNotifier(deps: {
  direct: Sql;
  clock: Clock;
  onError: (error: unknown) => void;
}): Promise<Notifier> {
  const local = createLocalNotifier();
  const origin = newSecret(6).toString('base64url');
  const assemblies = new Map<string, string[]>();
  let isNotifying = false;
  let broadcastCount = 0;

  function receive(message: string): void {
    const [from, id, index, count, chunk] = message.split(' ');
    if (from === origin) return;
    if (id === undefined || chunk === undefined) return local.notify();
    const chunks = assemblies.get(`${from} ${id}`) ?? [];
    chunks[Number(index)] = chunk;
    if (chunks.filter((part) => part !== undefined).length < Number(count)) {
      assemblies.set(`${from} ${id}`, chunks);
      const [oldest] = assemblies.keys();
      if (assemblies.size > assembliesMax && oldest !== undefined) assemblies.delete(oldest);
      return;
    }
    assemblies.delete(`${from} ${id}`);
    local.broadcast(Buffer.from(chunks.join(''), 'base64'));
  }

  const listening = await deps.direct.listen(channel, receive, () => local.notify());

  async function notifyOthers(): Promise<void> {
    await deps.clock.sleep(notifyIntervalMs);
    isNotifying = false;
    await deps.direct.notify(channel, origin);
  }

  return {
    ...local,
    notify() {
      local.notify();
      if (isNotifying) return;
      isNotifying = true;
      notifyOthers().catch(deps.onError);
    },
    broadcast(payload) {
      local.broadcast(payload);
      const id = broadcastCount++;
      const count = Math.ceil(payload.length / chunkSizeBytes);
      for (let index = 0; index < count; index++) {
        const chunk = payload.subarray(index * chunkSizeBytes, (index + 1) * chunkSizeBytes).toString('base64');
        deps.direct.notify(channel, `${origin} ${id} ${index} ${count} ${chunk}`).catch(deps.onError);
      }
    },
    close: () => listening.unlisten(),
  };
}
